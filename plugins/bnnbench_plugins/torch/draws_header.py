"""The header of a file of draws: names and shapes, without the arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bnnbench import DataError

if TYPE_CHECKING:
    from torch import Tensor

_SHARED = "shared:"
"""The prefix of arrays that all draws share, in files that bnnbench has written."""
Shape = tuple[int, ...]


def check_header(path: Path, tensors: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> None:
    """Raise `DataError` if a safetensors file cannot hold draws of a network with these tensors; no array is read.

    `buffers` are those tensors that may have one array for all draws. Files whose draws are not the network's weights
    are not judged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is not a safetensors file: {error}") from error
    if "bnnbench" not in metadata:
        _check(path, shapes, 1, tensors, buffers)
    elif not _has_posterior(metadata["bnnbench"]):
        _check(path, {name.removeprefix(_SHARED): shape for name, shape in shapes.items()}, 2, tensors, buffers)


def _has_posterior(header: str) -> bool:
    """Whether the draws are those of a posterior that makes a predictive of its own of them, as far as can be told."""
    try:
        found = json.loads(header)
    except (ValueError, RecursionError):
        return True
    return not isinstance(found, dict) or bool(found.get("posterior"))


def _check(
    path: Path, shapes: Mapping[str, Shape], axes: int, tensors: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
) -> None:
    """Raise `DataError` for names that are missing or unknown, and for shapes; draws have this many leading axes."""
    check_names(str(path), shapes, tensors)
    for name, shape in shapes.items():
        expected = tuple(tensors[name].shape)
        if shape[axes:] != expected and not (name in buffers and shape == expected):
            lead = ["draws"] if axes == 1 else ["chains", "draws"]
            raise DataError(f"{path}: {name} has shape {shape}, not ({', '.join([*lead, *map(str, expected)])})")


def check_names(path: str, arrays: Mapping[str, object], tensors: Mapping[str, object]) -> None:
    """Raise `DataError` if a file's arrays lack a tensor of the network, or hold one that is unknown to it."""
    missing, unknown = sorted(tensors.keys() - arrays.keys()), sorted(arrays.keys() - tensors.keys())
    problems = [f"lacks {', '.join(missing)}"] if missing else []
    problems += [f"holds {', '.join(unknown)}, unknown to the network"] if unknown else []
    if problems:
        raise DataError(f"{path} {' and '.join(problems)}")
