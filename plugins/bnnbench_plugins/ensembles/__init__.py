"""The bundled posteriors that are made of others: ensembles of point estimates, and what is derived from one fit."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    pass
