"""Load predictives that `Predictive.save` wrote. Nothing is unpickled."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnnbench.core import arguments
from bnnbench.core.dataset import Data
from bnnbench.core.draws import Draws
from bnnbench.core.draws_file import read_draws
from bnnbench.core.ensemble import members
from bnnbench.core.foreign import reading_copy
from bnnbench.core.model_outputs import LogitsOf, check_output, with_outputs
from bnnbench.core.network_copy import copied
from bnnbench.core.network_outputs import Outputs, named
from bnnbench.core.posterior import Posterior
from bnnbench.core.predictive import Predictive
from bnnbench.core.predictive_header import check_format, declarations
from bnnbench.errors import ParameterError, StoreError, one_line
from bnnbench.plugins.described import described
from bnnbench.plugins.installed import registry

if TYPE_CHECKING:
    from torch import nn

LARGEST_INPUT = 2**26
"""Largest number of values of one input. A file from elsewhere could otherwise ask for any amount of memory."""


@arguments.told_names
def load(
    path: str | Path, network: nn.Module | None = None, *, output: Callable[[Any], Any] | None = None
) -> Predictive:
    """The predictive that `Predictive.save` wrote to a file.

    The file names a registered network with its parameters, and never holds code. A network that no plugin registers
    must be given as `network`, and the `output` of `bnnbench.predictive`, where there was one, as `output`. Raises
    `StoreError` if the file is not a saved predictive, if its network or posterior cannot be made, or if `network` or
    `output` is needed and absent; `ValueError` if the draws do not fit the given network; `TypeError` for other wrong
    arguments.
    """
    from torch import nn

    if network is not None:
        arguments.instance_of(network, nn.Module, argument="network", meant="a torch.nn.Module")
    if output is not None:
        check_output(output)
    draws, header = read_draws(_checked_path(path))
    check_format(path, header)
    outputs, bounds = declarations(path, header)
    posterior = _component(path, "posterior", header) if header.get("posterior") else None
    if network is None:
        network = _network(path, header, draws, posterior)
    network = _returning_logits(path, network, output, outputs, bool(header.get("output")))
    predictive = Predictive(network, draws) if posterior is None else posterior.predictive(network, draws)
    predictive.fitted_by, predictive.bounds = posterior, bounds
    return predictive


def _returning_logits(
    path: str | Path, network: nn.Module, output: Callable[[Any], Any] | None, outputs: Outputs | None, needed: bool
) -> nn.Module:
    """A network that returns logits, by what the file declares of its outputs.

    `needed` says whether a function took the scores from what the network returned. Raises `StoreError` if there is
    none now.
    """
    if getattr(network, "bnnbench_reading", None) is not None:
        return network  # The network of a predictive of models from elsewhere: it returns logits already.
    if output is not None:
        return reading_copy(network, LogitsOf(named(network), output, outputs))
    if needed:
        raise StoreError(f"{path}: a function took the scores from its network's outputs: load(path, network, output=)")
    return network if outputs is None else with_outputs(copied(network), outputs)


def _checked_path(path: Any) -> str | Path:
    if isinstance(path, str | Path):
        return path
    raise TypeError(f"path is the path of a saved predictive, not {described(path)}")


def _network(path: str | Path, header: dict[str, Any], draws: Draws, posterior: Posterior | None) -> nn.Module:
    """The network that a file names. Raises `StoreError` if it cannot be built, or if the draws do not fit it."""
    import torch

    if not header.get("network"):
        raise StoreError(f"{path} has no recipe of its network: call load(path, network)")
    component = _component(path, "network", header)
    try:
        blank = _blank(header.get("shape"), header.get("classes"))
        if posterior is None or type(posterior).predictive is Posterior.predictive:
            # The network is built without memory first. If its shapes are those of the draws, it needs no more memory
            # than the draws do.
            with torch.device("meta"):
                members.check_names(component.build(blank), draws)
        return component.build(blank)
    except Exception as error:  # Parameters from elsewhere, or another author's network, may raise anything.
        reason = one_line(str(error), 500)
        raise StoreError(f"{path}: the recipe of its network cannot be followed: {reason}") from error


def _component(path: str | Path, kind: str, header: dict[str, Any]) -> Any:
    """The network or posterior that a header names. Raises `StoreError` if it cannot be made, or if it reads files."""
    try:
        use, parameters = header[kind]["use"], header[kind]["parameters"]
        if not isinstance(use, str):
            raise TypeError("its name is no text")
        component = registry().create(kind, use, parameters)
    except (KeyError, TypeError, ParameterError) as error:
        raise StoreError(f"{path}: the {kind} that it names cannot be made: {one_line(str(error), 500)}") from error
    if component.not_in_identity:
        raise StoreError(f"{path} names the {kind} {header[kind]['use']}, which reads files: a file of draws must not")
    return component


def _blank(shape: Any, classes: Any) -> Data:
    """Data of one zero input with the shape and classes of a recipe. Raises `ValueError` if no data can have them."""
    import torch

    if type(classes) is not int or not isinstance(shape, list) or any(type(side) is not int for side in shape):
        raise ValueError(f"no data have the shape {shape} and {classes} classes")
    if min(shape, default=0) < 1 or math.prod(shape) > LARGEST_INPUT:
        raise ValueError(f"no input has the shape {shape}")
    x, y = torch.zeros(1, *shape), torch.zeros(1, dtype=torch.int64)
    return Data(train=(x, y), test=(x, y), classes=classes)
