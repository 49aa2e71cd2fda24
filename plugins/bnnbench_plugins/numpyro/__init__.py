"""The bundled posteriors that sample with NumPyro, for networks that torch.fx can trace."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.numpyro.samplers"
    registry.posterior("numpyro-hmc", f"{home}:NumPyroHMC", help="Hamiltonian Monte Carlo with NumPyro.")
    registry.posterior("numpyro-nuts", f"{home}:NumPyroNUTS", help="The no-U-turn sampler with NumPyro.")
