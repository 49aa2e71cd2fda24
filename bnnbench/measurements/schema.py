"""The schema of a measurement's results: named arrays and numbers with their axes, types, units and meaning.

The store writes and checks results by their schema alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Dtype = Literal["float", "int", "bool"]
_KINDS: dict[Dtype, str] = {"float": "fiu", "int": "iu", "bool": "b"}
"""The numpy kinds that an array of each type may have on disk."""
_PLAIN: dict[Dtype, type] = {"float": float, "int": int, "bool": bool}
"""The Python type of a number of each type."""
IMAGE, CLASS, STEP, ANY = "image", "class", "step", "..."
"""The names of axes: test images, classes, steps of an attack, and any number of further axes."""
ROUNDING = 1e-3
"""The largest value of a log-probability that counts as zero."""


RESERVED = frozenset(
    [
        "artefacts",
        "cpu_seconds",
        "draws_sha256",
        "environment",
        "fit",
        "identity",
        "images",
        "key",
        "kind",
        "needed_sha256",
        "reason",
        "seconds",
        "seed",
        "sha256",
        "status",
        "traceback",
        "warnings",
    ]
)
"""Fields of records that no quantity may have the name of, because numbers stand beside them."""


ROW_FIELDS = frozenset(
    [
        "about",
        "access",
        "attack",
        "attack_draws_asked",
        "attacked_accuracy",
        "card",
        "cell",
        "certificate",
        "certified_accuracy",
        "certified_high",
        "certified_low",
        "certified_partial",
        "dataset",
        "epsilon",
        "epsilon_text",
        "fit",
        "goal",
        "kind",
        "measure",
        "network",
        "norm",
        "parameters",
        "posterior",
        "queries",
        "reason",
        "robust_accuracy",
        "seed",
        "status",
        "stream",
        "warnings",
        "worst_accuracy",
        "worst_high",
        "worst_low",
        "worst_partial",
    ]
)
"""Fields of a row in reports that no figure may have the name of."""


@dataclass(frozen=True)
class Quantity:
    """One array or number of a result.

    A number has no `axes`. `unit` and `help` are for documentation. An array has as many entries along the axis `image`
    as there are images, or fewer if it is `partial`. An `optional` quantity may be None. Values of a `log_probability`
    are finite and not above zero; values of a `label` are classes. A name that ends in `.*`, such as `step.*`, stands
    for a mapping from names to arrays.
    """

    name: str
    axes: tuple[str, ...]
    dtype: Dtype
    unit: str
    help: str
    optional: bool = False
    partial: bool = False
    log_probability: bool = False
    label: bool = False

    @property
    def is_mapping(self) -> bool:
        """Whether the quantity stands for a mapping from names to arrays."""
        return self.name.endswith(".*")

    @property
    def field(self) -> str:
        """The attribute of the result that holds the quantity: its name, or `steps` for the mapping `step.*`."""
        return f"{self.name.removesuffix('.*')}s" if self.is_mapping else self.name


@dataclass(frozen=True)
class Schema:
    """The quantities of a result, in the order in which they are documented."""

    quantities: tuple[Quantity, ...]

    @property
    def arrays(self) -> list[Quantity]:
        """The quantities that are arrays or mappings of arrays."""
        return [quantity for quantity in self.quantities if quantity.axes]

    @property
    def numbers(self) -> list[Quantity]:
        """The quantities that are numbers."""
        return [quantity for quantity in self.quantities if not quantity.axes]

    def wrong_numbers(self, numbers: Mapping[str, Any]) -> list[str]:
        """The names of the schema's numbers that are absent from `numbers` or have another type."""
        return [
            quantity.name
            for quantity in self.numbers
            if not _is_number(numbers.get(quantity.name), quantity.dtype)
            and not (quantity.optional and numbers.get(quantity.name) is None)
        ]

    def wrong_arrays(self, values: Mapping[str, Any], images: int) -> list[str]:
        """The names of the schema's arrays that are absent from `values` or have a wrong shape, type or value.

        `values` maps fields to arrays, to None for absent optional ones, or to mappings of arrays. `images` is the
        length of the axis `image`. Arrays that share another axis must agree in its length.
        """
        sizes = _sizes(self.arrays, values) | {IMAGE: images}
        return [name for quantity in self.arrays for name in _wrong(quantity, values.get(quantity.field), sizes)]


def _sizes(quantities: list[Quantity], values: Mapping[str, Any]) -> dict[str, int]:
    """The length of each axis, taken from the first array that has the axis."""
    sizes: dict[str, int] = {}
    for quantity in quantities:
        array, axes = values.get(quantity.field), quantity.axes
        if isinstance(array, np.ndarray) and not quantity.partial and ANY not in axes and array.ndim == len(axes):
            for axis, size in zip(axes, array.shape, strict=True):
                sizes.setdefault(axis, size)
    return sizes


def _wrong(quantity: Quantity, value: Any, sizes: Mapping[str, int]) -> Iterator[str]:
    """The name of an array that is wrong; for a mapping, the full name of each of its arrays that is wrong."""
    if value is None:
        if not quantity.optional:
            yield quantity.name
        return
    arrays = {quantity.name: value}
    if quantity.is_mapping:
        arrays = {f"{quantity.name[:-1]}{name}": array for name, array in value.items()}
    for name, array in arrays.items():
        if not _fits(quantity, array, sizes) or not _is_possible(quantity, array, sizes):
            yield name


def _is_number(value: Any, dtype: Dtype) -> bool:
    """Whether a value is a plain, finite number of a type."""
    return type(value) is _PLAIN[dtype] and isinstance(value, int | float) and math.isfinite(value)


def _fits(quantity: Quantity, array: np.ndarray, sizes: Mapping[str, int]) -> bool:
    """Whether an array has the type and shape of a quantity; an attack may also record bools at its steps."""
    if not isinstance(array, np.ndarray):
        return False
    if array.dtype.kind not in _KINDS[quantity.dtype] and not (quantity.is_mapping and array.dtype.kind == "b"):
        return False
    axes = quantity.axes
    fixed = axes[: axes.index(ANY)] if ANY in axes else axes
    if array.ndim < len(fixed) or (ANY not in axes and array.ndim != len(fixed)):
        return False
    if quantity.partial:
        return bool(array.shape[0] <= sizes.get(fixed[0], 0))
    shape = zip(fixed, array.shape, strict=False)
    return all(size == sizes.get(axis, size) for axis, size in shape) and (STEP in axes or 0 not in array.shape)


def _is_possible(quantity: Quantity, array: np.ndarray, sizes: Mapping[str, int]) -> bool:
    """Whether the values of an array can be log-probabilities or labels, if they are declared as such."""
    if quantity.log_probability:
        return bool((np.isfinite(array) & (array <= ROUNDING)).all())
    if quantity.label:
        return bool(array.min() >= 0 and array.max() < sizes.get(CLASS, 0))
    return True
