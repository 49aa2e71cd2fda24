"""Write and read draws as a safetensors file with a JSON header. Nothing is unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bnnbench.core.draws import Draws
from bnnbench.errors import StoreError

SHARED = "shared:"
"""Prefix, in the file, of the names of `shared` arrays."""


def write_draws(path: str | Path, draws: Draws, header: dict[str, Any] | None = None) -> None:
    """Write draws as a safetensors file, with their diagnostics and a header that `read_draws` returns.

    The header must consist of JSON values. Diagnostics are written as `as_json` gives them.
    """
    from safetensors.numpy import save_file

    arrays = draws.arrays | {SHARED + name: array for name, array in draws.shared.items()}
    # safetensors writes wrong numbers for arrays that are not contiguous.
    contiguous = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
    text = json.dumps((header or {}) | {"diagnostics": as_json(draws.diagnostics)}, sort_keys=True)
    save_file(contiguous, str(path), metadata={"bnnbench": text})


def read_draws(path: str | Path) -> tuple[Draws, dict[str, Any]]:
    """The draws and the header of a file that `write_draws` wrote.

    Raises `StoreError` if there is no such file, or if it is anything else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if Path(path).exists() and not Path(path).is_file():
            raise ValueError("it is no plain file")
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        header = json.loads(metadata["bnnbench"])
        if not isinstance(header, dict) or not isinstance(header.get("diagnostics", {}), dict):
            raise ValueError("its header is not a mapping with a mapping of diagnostics")
        not_real = [name for name, array in arrays.items() if array.dtype.kind not in "biuf"]
        if not_real:
            raise ValueError(f"{', '.join(not_real)} are no real numbers")
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such file") from error
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # Types that numpy lacks, such as bfloat16, raise a TypeError or an AttributeError.
        raise StoreError(f"{path} does not hold draws written by bnnbench: {error}") from error
    shared = {name.removeprefix(SHARED): array for name, array in arrays.items() if name.startswith(SHARED)}
    weights = {name: array for name, array in arrays.items() if not name.startswith(SHARED)}
    try:
        return Draws(weights, shared=shared, diagnostics=header.pop("diagnostics", {})), header
    except ValueError as error:
        raise StoreError(f"{path} does not hold draws written by bnnbench: {error}") from error


def as_json(value: Any) -> Any:
    """A diagnostic as JSON values: arrays become lists, numpy scalars Python ones, and non-finite numbers None."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
