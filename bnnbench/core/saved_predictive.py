"""Load predictives that `Predictive.save` wrote. Nothing is unpickled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnnbench.core.dataset import Data
from bnnbench.core.draws import Draws
from bnnbench.core.draws_file import read_draws
from bnnbench.core.posterior import Posterior
from bnnbench.core.predictive import Predictive
from bnnbench.errors import ParameterError, StoreError, one_line
from bnnbench.plugins.installed import registry

if TYPE_CHECKING:
    from torch import nn

LARGEST_INPUT = 2**26
"""Largest number of values of one input. A file from elsewhere could otherwise ask for any amount of memory."""


def load(path: str | Path, network: nn.Module | None = None) -> Predictive:
    """The predictive that `Predictive.save` wrote to a file.

    The file names a registered network with its parameters, and never holds code. A network that no plugin registers
    must be given as `network`. Raises `StoreError` if the file is not a saved predictive, if its network or posterior
    cannot be made, or if `network` is needed and absent; `ValueError` if the draws do not fit the given network.
    """
    draws, header = read_draws(path)
    posterior = _component(path, "posterior", header) if header.get("posterior") else None
    if network is None:
        network = _network(path, header, draws, posterior)
    if posterior is None:
        return Predictive(network, draws)
    predictive = posterior.predictive(network, draws)
    predictive.fitted_by = posterior
    return predictive


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
                Predictive(component.build(blank), draws)
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
