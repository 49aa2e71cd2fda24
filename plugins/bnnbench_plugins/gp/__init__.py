"""The bundled posteriors over functions: Gaussian processes and the limit of wide networks."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    pass
