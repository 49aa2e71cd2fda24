"""An outcome as it is kept: arrays in one file, what is a number in the record."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnnbench.evidence.outcome import Outcome

_STEP = "step."
_NUMBERS = ("draws", "attack_draws", "stops_early")


def arrays(outcome: Outcome) -> dict[str, np.ndarray]:
    """Its arrays; what is None is left out."""
    own = {name: value for name, value in vars(outcome).items() if isinstance(value, np.ndarray)}
    return own | {_STEP + name: values for name, values in outcome.steps.items()}


def numbers(outcome: Outcome) -> dict[str, Any]:
    """What stands in its record."""
    return {"images": len(outcome)} | {name: getattr(outcome, name) for name in _NUMBERS}


def restored(record: dict[str, Any], stored: dict[str, np.ndarray]) -> Outcome:
    """The outcome of a record and its arrays."""
    steps = {name.removeprefix(_STEP): array for name, array in stored.items() if name.startswith(_STEP)}
    own: dict[str, Any] = {name: array for name, array in stored.items() if not name.startswith(_STEP)}
    own.setdefault("zero_direction", None)
    return Outcome(**own, steps=steps, **{name: record[name] for name in _NUMBERS})
