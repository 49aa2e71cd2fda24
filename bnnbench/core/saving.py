"""Predictives on disk: safetensors, and a recipe of the network where it has one. Nothing is unpickled."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core.component import Component
from bnnbench.core.dataset import Data
from bnnbench.core.posterior import Draws, Posterior
from bnnbench.core.predictive import Predictive
from bnnbench.errors import ParameterError, StoreError, one_line
from bnnbench.plugins.registry import registry

if TYPE_CHECKING:
    from torch import nn

SHARED = "shared:"
"""Prefix of the arrays that do not lead with (chains, draws)."""
LARGEST_INPUT = 2**26
"""Numbers in one input, at most: a recipe of a few bytes may ask for more memory than there is."""


def save(predictive: Predictive, path: str | Path) -> None:
    """Write a predictive; raises `TypeError` for a subclass that no registered posterior made."""
    recipe = getattr(predictive.network, "bnnbench_recipe", None)
    header = {
        "format": 1,
        "network": _written("network", recipe[0]) if recipe else None,
        "shape": recipe[1] if recipe else None,
        "classes": recipe[2] if recipe else None,
        "posterior": _written("posterior", predictive.fitted_by),
    }
    if type(predictive) is not Predictive and header["posterior"] is None:
        raise TypeError(f"no registered posterior made this {type(predictive).__name__}: it cannot be loaded again")
    lead = (predictive.chains, predictive.per_chain)
    arrays = {name: tensor.cpu().numpy().reshape(*lead, *tensor.shape[1:]) for name, tensor in predictive.draws.items()}
    draws = Draws(arrays, shared=predictive.shared, diagnostics=predictive.diagnostics)
    write_draws(path, draws, header)


def load(path: str | Path, network: nn.Module | None = None) -> Predictive:
    """Read a predictive that `save` wrote.

    A network of one's own must be given: a file carries only the recipes of registered networks, never code. Raises
    `StoreError` if the file is not one of these, or a network is needed.
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


def write_draws(path: str | Path, draws: Draws, header: dict[str, Any] | None = None) -> None:
    """Write draws with a JSON header as a safetensors file."""
    from safetensors.numpy import save_file

    arrays = draws.arrays | {SHARED + name: array for name, array in draws.shared.items()}
    # safetensors silently corrupts arrays that are not contiguous.
    contiguous = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
    text = json.dumps((header or {}) | {"diagnostics": plain(draws.diagnostics)}, sort_keys=True)
    save_file(contiguous, str(path), metadata={"bnnbench": text})


def read_draws(path: str | Path) -> tuple[Draws, dict[str, Any]]:
    """Read what `write_draws` wrote; raises `StoreError` for anything else."""
    from safetensors import SafetensorError, safe_open

    try:
        if Path(path).exists() and not Path(path).is_file():
            raise ValueError("it is no plain file")
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        header = json.loads(metadata["bnnbench"])
        if not isinstance(header, dict) or not isinstance(header.get("diagnostics", {}), dict):
            raise ValueError("its header has not the form of one")
        strange = [name for name, array in arrays.items() if array.dtype.kind not in "biuf"]
        if strange:
            raise ValueError(f"{', '.join(strange)} are no real numbers")
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such file") from error
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # Numbers of a type that numpy lacks are a TypeError or an AttributeError.
        raise StoreError(f"{path} does not hold draws written by bnnbench: {error}") from error
    shared = {name.removeprefix(SHARED): array for name, array in arrays.items() if name.startswith(SHARED)}
    own = {name: array for name, array in arrays.items() if not name.startswith(SHARED)}
    try:
        return Draws(own, shared=shared, diagnostics=header.pop("diagnostics", {})), header
    except ValueError as error:
        raise StoreError(f"{path} does not hold draws written by bnnbench: {error}") from error


def plain(value: Any) -> Any:
    """Diagnostics as JSON: arrays become lists, numpy's scalars plain ones, and what is not finite becomes null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _network(path: str | Path, header: dict[str, Any], draws: Draws, posterior: Posterior | None) -> nn.Module:
    """The network of a file's recipe; raises `StoreError` if it cannot be followed, or is not the network of these
    draws."""
    import torch

    if not header.get("network"):
        raise StoreError(f"{path} has no recipe of its network: call load(path, network)")
    component = _component(path, "network", header)
    try:
        blank = _blank(header.get("shape"), header.get("classes"))
        if posterior is None or type(posterior).predictive is Posterior.predictive:
            # First without memory: what has the shapes of the draws takes no more of it than they do.
            with torch.device("meta"):
                Predictive(component.build(blank), draws)
        return component.build(blank)
    except Exception as error:  # A recipe is a stranger's, and so may be the network.
        told = one_line(str(error), 500)
        raise StoreError(f"{path}: the recipe of its network cannot be followed: {told}") from error


def _component(path: str | Path, kind: str, header: dict[str, Any]) -> Any:
    try:
        use, parameters = header[kind]["use"], header[kind]["parameters"]
        if not isinstance(use, str):
            raise TypeError("its name is no text")
        component = registry().create(kind, use, parameters)
    except (KeyError, TypeError, ParameterError) as error:
        raise StoreError(f"{path}: the {kind} that it names cannot be made: {one_line(str(error), 500)}") from error
    if component.not_in_identity:
        raise StoreError(f"{path} names the {kind} {header[kind]['use']}, which reads files: not from a file of draws")
    return component


def _written(kind: str, component: Component | None) -> dict[str, Any] | None:
    # A component that names files would let a file of draws run code or read paths on whoever loads it.
    if component is None or component.not_in_identity:
        return None
    return registry().recipe(kind, component)


def _blank(shape: Any, classes: Any) -> Data:
    """Data of a recipe's shape and classes; raises `ValueError` if there are none such."""
    import torch

    if type(classes) is not int or not isinstance(shape, list) or any(type(side) is not int for side in shape):
        raise ValueError(f"no data have the shape {shape} and {classes} classes")
    if min(shape, default=0) < 1 or math.prod(shape) > LARGEST_INPUT:
        raise ValueError(f"no input has the shape {shape}")
    x, y = torch.zeros(1, *shape), torch.zeros(1, dtype=torch.int64)
    return Data(train=(x, y), test=(x, y), classes=classes)
