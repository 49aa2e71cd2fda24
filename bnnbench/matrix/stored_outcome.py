"""An outcome as it is kept: arrays in one file, what is a number in the record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.errors import StoreError
from bnnbench.evidence.outcome import Outcome
from bnnbench.matrix.store import CELLS

if TYPE_CHECKING:
    from bnnbench.matrix.store import Store

_STEP = "step."
_NUMBERS = {"draws": int, "attack_draws": int, "stops_early": bool}
_LOG_PROBS = ("clean_log_probs", "attacked_log_probs")
_ARRAYS = {field.name for field in fields(Outcome)} - {*_NUMBERS, "steps"}
_KINDS = {"index": "iu", "label": "iu", "zero_gradient": "b", "zero_direction": "b"}
"""The kinds of arrays that are no measurements, which may be of any type of number."""
_ROUNDING = 1e-3
"""How far above zero a log-probability may be."""


def arrays(outcome: Outcome) -> dict[str, np.ndarray]:
    """Its arrays; what is None is left out."""
    own = {name: value for name, value in vars(outcome).items() if isinstance(value, np.ndarray)}
    return own | {_STEP + name: values for name, values in outcome.steps.items()}


def numbers(outcome: Outcome) -> dict[str, Any]:
    """What stands in its record."""
    return {"images": len(outcome)} | {name: getattr(outcome, name) for name in _NUMBERS}


def loaded(store: Store, key: str, record: dict[str, Any]) -> Outcome:
    """The outcome of a cell's record in a store; raises `StoreError` if its arrays have changed, or are none of an
    outcome: whoever can write a file can give it a checksum."""
    try:
        return restored(record, store.arrays(CELLS, key, record))
    except KeyError as error:
        # It names no file of arrays, or one that has numbers of a type that numpy does not know.
        raise StoreError("its record and its arrays are not those of an outcome") from error
    except ValueError as error:
        raise StoreError(f"its record and its arrays are not those of an outcome: {error}") from error


def restorable(store: Store, key: str, record: dict[str, Any]) -> bool:
    """Whether `loaded` finds an outcome: where it does not, the cell is to be computed again."""
    try:
        loaded(store, key, record)
    except StoreError:
        return False
    return True


def restored(record: dict[str, Any], stored: dict[str, np.ndarray]) -> Outcome:
    """The outcome of a record and its arrays; raises `ValueError` if they are none of an outcome."""
    steps = {name.removeprefix(_STEP): array for name, array in stored.items() if name.startswith(_STEP)}
    own: dict[str, Any] = {name: array for name, array in stored.items() if not name.startswith(_STEP)}
    own.setdefault("zero_direction", None)
    if own.keys() != _ARRAYS:
        raise ValueError(f"{', '.join(sorted(own.keys() ^ _ARRAYS))} should, or should not, be there")
    numbered: dict[str, Any] = {name: record.get(name) for name in _NUMBERS}
    wrong = [name for name, kind in _NUMBERS.items() if type(numbered[name]) is not kind]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} of its record")
    outcome = Outcome(**own, steps=steps, **numbered)
    wrong = list(_misshapen(outcome)) or list(_impossible(outcome))
    if wrong:
        raise ValueError(f"{', '.join(wrong)} cannot be so")
    return outcome


def _misshapen(outcome: Outcome) -> Iterator[str]:
    """The names of the arrays whose shape or type is not that for as many images as there are labels."""
    if outcome.label.ndim != 1 or outcome.clean_log_probs.ndim != 2 or outcome.clean_log_probs.size == 0:
        yield "label or clean_log_probs"
        return
    each, classes = outcome.label.shape, outcome.clean_log_probs.shape[1]
    shapes = dict.fromkeys(_ARRAYS - {"inputs"}, each) | dict.fromkeys(_LOG_PROBS, (*each, classes))
    for name, shape in sorted(shapes.items()):
        array = getattr(outcome, name)
        if array is not None and (array.shape != shape or array.dtype.kind not in _KINDS.get(name, "iuf")):
            yield name
    yield from (_STEP + name for name, array in outcome.steps.items() if array.ndim != 2 or array.shape[1:] != each)
    if outcome.inputs.ndim == 0 or len(outcome.inputs) > len(outcome):
        yield "inputs"


def _impossible(outcome: Outcome) -> Iterator[str]:
    """The names of the arrays whose values allow no figures."""
    for name in _LOG_PROBS:
        array = getattr(outcome, name)
        if not (np.isfinite(array) & (array <= _ROUNDING)).all():
            yield name
    if outcome.label.min() < 0 or outcome.label.max() >= outcome.clean_log_probs.shape[1]:
        yield "label"
