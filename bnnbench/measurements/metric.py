"""Metrics: components that compute one number of the arrays of an outcome, for reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

from bnnbench.core.component import Component
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import ContractBreach, PluginError, message_of
from bnnbench.measurements.outcome import OUTCOME, Outcome
from bnnbench.plugins.signals import contained

SIDES = ("clean", "attacked")
"""The sides of an outcome on which a metric of predictions is computed."""
OF_SIDE = {"log_probs": "log_probs", "draw_entropy": "entropy"}
"""The arrays that each side of an outcome has, and the ends of their names in the outcome (`clean_entropy`)."""
_ATTACKED = [f"attacked_{end}" for end in OF_SIDE.values()]
"""The arrays of an outcome that hold what is predicted at attacked images."""
_OF_OUTCOME = frozenset(quantity.field for quantity in OUTCOME.quantities)


class Metric(Component):
    """The base class of metrics: a number that is computed from named arrays of an outcome.

    An author declares `arrays` and writes `number`. A metric of predictions names `log_probs` (N, K) or
    `draw_entropy` (N,), the draws' mean entropy in nats: it is computed at the clean and at the attacked images. A
    metric of whole outcomes names their arrays and numbers alone, such as `clean_log_probs`, `attacked_log_probs`,
    `distance` or `draws`, and is computed once. Either may also name `label` (N,). Of an attack that stops early no
    number is computed that reads predictions at attacked images.

    Raises `PluginError` while a subclass is defined if it names no arrays, or others.
    """

    kind: ClassVar[str] = "metric"
    arrays: ClassVar[tuple[str, ...]] = ()
    """The names of the arrays and numbers that `number` reads."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        known = {*OF_SIDE, *_OF_OUTCOME}
        if wrong := [name for name in cls.arrays if name not in known]:
            raise PluginError(
                f"{name_in_messages(cls)}: outcomes have no array '{wrong[0]}' (there are {', '.join(sorted(known))})"
            )
        if not cls.arrays:
            raise PluginError(f"{name_in_messages(cls)}: 'arrays' is empty: name those that the metric is computed of")

    def number(self, arrays: Mapping[str, Any]) -> float | None:
        """The number, from the declared arrays by name; None where it is not defined."""
        raise NotImplementedError


def is_of_sides(metric: Metric) -> bool:
    """Whether a metric is computed at each side of an outcome, clean and attacked."""
    return any(name in OF_SIDE for name in metric.arrays)


def field_names(name: str, metric: Metric) -> dict[str, str]:
    """The names of the fields that a metric adds to rows, by side; the side of a metric of whole outcomes is `""`.

    Its name may have parameters after `@`, which stay as they are.
    """
    first, at, parameters = name.partition("@")
    field = first.replace("-", "_") + at + parameters
    return {side: f"{side}_{field}" for side in SIDES} if is_of_sides(metric) else {"": field}


def numbers_of(name: str, metric: Metric, outcome: Outcome | None) -> dict[str, float | None]:
    """The numbers of a metric by field; all are None without an outcome.

    A number of attacked predictions is None for an attack that stops early: it leaves an image alone once it is broken,
    so what is predicted there depends on when it stopped. Raises `ContractBreach` if the metric fails, or gives what is
    neither None nor a finite number.
    """
    return {
        field: None if outcome is None else _number(name, metric, outcome, side)
        for side, field in field_names(name, metric).items()
    }


def _number(name: str, metric: Metric, outcome: Outcome, side: str) -> float | None:
    """The number of one side of an outcome, or of the whole outcome if `side` is empty."""
    read = {name: f"{side}_{OF_SIDE[name]}" if name in OF_SIDE else name for name in metric.arrays}
    if outcome.stops_early and any(array in _ATTACKED for array in read.values()):
        return None
    return _finite(name, metric, {name: getattr(outcome, array) for name, array in read.items()})


def _finite(name: str, metric: Metric, arrays: Mapping[str, Any]) -> float | None:
    try:
        with contained():
            number = metric.number(arrays)
    except Exception as error:
        raise ContractBreach(f"metric {name} failed: {message_of(error)}") from error
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, Real) or not math.isfinite(number):
        raise ContractBreach(f"metric {name} gave {number!r}, which is no finite number")
    return float(number)
