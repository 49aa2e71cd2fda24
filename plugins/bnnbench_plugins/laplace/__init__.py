"""The bundled Laplace approximations."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    registry.posterior(
        "laplace",
        "bnnbench_plugins.laplace.laplace:Laplace",
        help="A normal distribution by the curvature at the optimum.",
    )
