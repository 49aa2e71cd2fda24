"""What a file of draws says of the predictive beside its draws: network, posterior, box, and what is returned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from bnnbench.core import arguments
from bnnbench.core.component import Component
from bnnbench.core.network_outputs import Outputs
from bnnbench.errors import StoreError, one_line
from bnnbench.plugins.installed import registry

if TYPE_CHECKING:
    from torch import nn

FORMAT = 1
"""The version of the header."""


def header_of(network: nn.Module, posterior: Component | None, bounds: tuple[float, float] | None) -> dict[str, Any]:
    """The header as JSON values: the recipes of network and posterior, where they have one, and the declarations.

    `outputs` is what the network's outputs are, and `output` says whether a function takes the scores from them.
    """
    recipe = getattr(network, "bnnbench_recipe", None)
    reading = getattr(network, "bnnbench_reading", None)
    return {
        "format": FORMAT,
        "network": _recipe("network", recipe[0]) if recipe else None,
        "shape": recipe[1] if recipe else None,
        "classes": recipe[2] if recipe else None,
        "posterior": _recipe("posterior", posterior),
        "bounds": bounds,
        "outputs": reading.outputs if reading else None,
        "output": bool(reading and reading.output),
    }


def check_format(path: str | Path, header: dict[str, Any]) -> None:
    """Raise `StoreError` if a header states another version than this one; some files of draws state none."""
    found = header.get("format", FORMAT)
    if found != FORMAT:
        raise StoreError(
            f"{path} is of format {one_line(str(found), 50)}; this version of bnnbench reads format {FORMAT}: "
            "use the version that wrote it"
        )


def declarations(path: str | Path, header: dict[str, Any]) -> tuple[Outputs | None, tuple[float, float] | None]:
    """What a header declares of the network's outputs, and the box of the inputs; None for what it does not say.

    Raises `StoreError` for anything that no predictive has.
    """
    outputs, bounds = header.get("outputs"), header.get("bounds")
    try:
        if outputs is not None:
            arguments.one_of(outputs, get_args(Outputs), argument="outputs")
        return outputs, None if bounds is None else arguments.interval(bounds, argument="bounds")
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path} does not hold a predictive written by bnnbench: {error}") from error


def _recipe(kind: str, component: Component | None) -> dict[str, Any] | None:
    """The registered name and the parameters of a component; None if a file of draws must not name it."""
    # Components that name files are left out: a file of draws must not make the computer that loads it read paths or
    # run code.
    if component is None or component.not_in_identity:
        return None
    return registry().recipe(kind, component)
