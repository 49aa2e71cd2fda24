"""Convert results of measurements to what a store keeps, arrays in a file and numbers in the record, and back.

Both directions follow the schema of the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bnnbench.errors import StoreError
from bnnbench.measurements.measurement import Context, Measurement
from bnnbench.measurements.schema import Schema
from bnnbench.store.layout import ARRAYS, CELLS
from bnnbench.store.reading import StoreReader


def arrays(schema: Schema, result: Any) -> dict[str, np.ndarray]:
    """The arrays of a result by their names on disk; those that are None are left out."""
    named: dict[str, np.ndarray] = {}
    for quantity in schema.arrays:
        value = _value(result, quantity.field)
        if quantity.is_mapping:
            named |= {f"{quantity.name[:-1]}{name}": array for name, array in (value or {}).items()}
        elif value is not None:
            named[quantity.name] = value
    return named


def numbers(schema: Schema, result: Any) -> dict[str, Any]:
    """The numbers of a result, which are fields of its record."""
    return {quantity.name: _value(result, quantity.field) for quantity in schema.numbers}


def decoded(schema: Schema, record: Mapping[str, Any], stored: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The quantities of a result by field, from its record and its arrays.

    Raises `ValueError` if they cannot be those of one result for the record's number of images.
    """
    values: dict[str, Any] = {quantity.name: record.get(quantity.name) for quantity in schema.numbers}
    if wrong := schema.wrong_numbers(values):
        raise ValueError(f"{', '.join(wrong)} of another type in its record")
    remaining = dict(stored)
    for quantity in schema.arrays:
        if quantity.is_mapping:
            prefix = quantity.name[:-1]
            names = [name for name in remaining if name.startswith(prefix)]
            values[quantity.field] = {name.removeprefix(prefix): remaining.pop(name) for name in names}
        else:
            values[quantity.field] = remaining.pop(quantity.name, None)
    absent = [one.name for one in schema.arrays if values[one.field] is None and not one.optional]
    if absent:
        raise ValueError(f"without {', '.join(sorted(absent))}")
    if remaining:
        raise ValueError(f"with {', '.join(sorted(remaining))}, which are not in the schema")
    images = record.get("images")
    if type(images) is not int or images < 1:
        raise ValueError("images of another type in its record")
    if wrong := schema.wrong_arrays(values, images):
        raise ValueError(f"{', '.join(wrong)} of another shape, type or range")
    return values


def loaded(store: StoreReader, key: str, record: Mapping[str, Any], measurement: Measurement, context: Context) -> Any:
    """The result of a cell's record in a store.

    Raises `DamagedArtefact` if its arrays have changed, and `StoreError` if they are not those of a result: a person
    who can write a file can give it a checksum.
    """
    if ARRAYS not in record["artefacts"]:
        raise StoreError("its record and its arrays are not those of an outcome")
    try:
        values = decoded(measurement.schema, record, store.arrays(CELLS, key, record))
    except ValueError as error:
        raise StoreError(f"its record and its arrays are not those of an outcome: {error}") from error
    return measurement.restored(values, context)


def _value(result: Any, name: str) -> Any:
    return result.get(name) if isinstance(result, Mapping) else getattr(result, name)
