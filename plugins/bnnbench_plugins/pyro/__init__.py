"""The bundled posterior that samples with Pyro."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    registry.posterior("pyro-hmc", "bnnbench_plugins.pyro.hmc:PyroHMC", help="Hamiltonian Monte Carlo with Pyro.")
