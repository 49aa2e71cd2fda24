"""The bundled posteriors over functions: Gaussian processes and the limit of wide networks."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.gp"
    registry.posterior(
        "gaussian-process",
        f"{home}.gaussian_process:RadialBasisProcess",
        help="Gaussian process classification: draws of functions.",
    )
    registry.posterior("nngp", f"{home}.nngp:Nngp", help="The limit of wide networks, a Gaussian process.")
