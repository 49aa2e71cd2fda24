"""The bundled posteriors that sample by stochastic gradients."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    pass
