"""The sweeps of a benchmarks file: entries that stand for one component for each combination of values."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from typing import Any

from bnnbench.errors import clean
from bnnbench.matrix.source import KeyPath, Source, dotted


def expanded(source: Source, path: KeyPath, entry: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each combination of the swept values of an entry, with the parameters that result from it.

    An entry without `sweep` gives one combination, which is empty. Problems are noted in `source`.
    """
    parameters = dict(entry)
    sweep = _checked(source, path, parameters.pop("sweep", None), parameters)
    for combination in itertools.product(*sweep.values()):
        swept = dict(zip(sweep, combination, strict=True))
        yield swept, parameters | swept


def _checked(source: Source, path: KeyPath, written: Any, parameters: dict[str, Any]) -> dict[str, list[Any]]:
    """The lists of values of a sweep, by parameter; what is not a list is noted as a problem and left out."""
    lists = {}
    for key, values in source.mapping((*path, "sweep"), written).items():
        place = (*path, "sweep", key)
        if not isinstance(values, list) or not values:
            source.problem(place, f"{dotted(place)} must be a list of values")
            continue
        lists[key] = values
        if any(value in values[:position] for position, value in enumerate(values)):
            source.problem(place, f"{dotted(place)} repeats a value")
        elif len({swept_value(value) for value in values}) < len(values):
            problem = "has values that tables would call alike: give each a label of its own"
            source.problem(place, f"{dotted(place)} {problem}")
        elif key in parameters:
            source.problem(place, f"{dotted(path)} both sets and sweeps '{clean(key)}'", at_key=True)
    return lists


def swept_name(label: str, swept: dict[str, Any]) -> str:
    """The name of one combination of a sweep, such as `nuts@max_tree_depth=5`; the label if nothing is swept."""
    if not swept:
        return label
    return f"{label}@" + ",".join(f"{key}={swept_value(value)}" for key, value in swept.items())


def swept_value(value: Any) -> str:
    """A swept value as it stands in names: `true`, `0.1`, `64x64` for a list, with `_` for separators."""
    if isinstance(value, list):
        return "x".join(swept_value(item) for item in value)
    if isinstance(value, bool | None):
        return {None: "none", True: "true", False: "false"}[value]
    return re.sub(r"[,=|\s]", "_", clean(str(value)))


def number_of_variants(section: Any) -> int:
    """The number of components that an unchecked section stands for, counted without making any of them."""
    return sum(_number_of_combinations(entry) for entry in section.values()) if isinstance(section, dict) else 0


def _number_of_combinations(entry: Any) -> int:
    """The number of combinations of an unchecked entry; a list without values counts as one."""
    sweep = entry.get("sweep") if isinstance(entry, dict) else None
    lists = sweep.values() if isinstance(sweep, dict) else ()
    return math.prod(max(1, len(values)) for values in lists if isinstance(values, list))
