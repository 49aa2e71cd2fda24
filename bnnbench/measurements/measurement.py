"""The interface of measurements: how a cell is computed, kept in the store, restored, and shown in reports."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bnnbench.core.component import Component
from bnnbench.core.posterior import Posterior
from bnnbench.core.threat import Threat
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.schema import Schema
from bnnbench.plugins.kinds import KIND

Keep = Literal["few", "inputs"]
"""The attacked inputs that a result keeps: a few, or all."""
Notes = dict[str, str]
"""Marks of tables (`evidence/marks.py`), each with a line that says what it means for one result."""


@dataclass(frozen=True)
class Context:
    """The threat of a cell, if it has one, and the labels of its components. `label` is that of what is measured."""

    threat: Threat | None = None
    dataset: str = ""
    network: str = ""
    posterior: str = ""
    label: str = ""


class Measurement(ABC):
    """The computation of the cells of one component.

    A subclass serves the components of one kind, and is named in the entry of that kind in `plugins/kinds.py`. The
    store, the results and the reports use this interface alone.
    """

    needs_threat: ClassVar[bool]
    """Whether each of its cells has a threat."""
    schema: Schema
    """The arrays and numbers of a result. The store writes, checks and reads results by it."""

    def __init__(self, component: Component) -> None:
        self.component = component

    @abstractmethod
    def run(self, defence: Defence, threats: Sequence[Threat], keep: Keep) -> list[Any]:
        """One result for each threat, in their order; a single one if the measurement needs no threat."""

    @abstractmethod
    def restored(self, values: Mapping[str, Any], context: Context) -> Any:
        """The result that has these quantities, by field; they have been checked against the schema."""

    @abstractmethod
    def row(self, result: Any | None) -> dict[str, Any]:
        """The figures of a result by name, for its row in reports; all are None if `result` is None."""

    @property
    def needed_fits(self) -> tuple[Posterior, ...]:
        """The posteriors whose fits, to the same network and data, the results compare with; none by default."""
        return ()

    def judged_under(self, threat: Threat) -> Threat:
        """The threat without what the results do not depend on: cells that differ in that alone have one key."""
        return threat

    def notes(self, result: Any) -> Notes:
        """The marks that a result has in tables; none by default."""
        return {}

    def may_differ(self, one: Threat, other: Threat) -> bool:
        """Whether one task computes two cells that differ only in these threats; by default only if they are equal."""
        return one == other


def measurement_of(component: Component) -> Measurement:
    """The measurement of a component, such as an `AttackMeasurement` of an attack.

    Raises `TypeError` for a component of a kind that makes no cells.
    """
    kind = KIND[component.kind]
    if kind.measurement is None:
        raise TypeError(f"components of the kind '{kind.name}' make no cells")
    module, _, name = kind.measurement.partition(":")
    made: Measurement = getattr(importlib.import_module(module), name)(component)
    return made
