"""Measures: components that compute figures of a defence without an attack."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bnnbench.core.component import Component
from bnnbench.core.local_modules import name_in_messages
from bnnbench.core.threat import Threat
from bnnbench.errors import ContractBreach, PluginError
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.measurement import Context, Keep, Measurement
from bnnbench.measurements.schema import RESERVED, ROW_FIELDS, Quantity, Schema


class Measure(Component):
    """The parameters of figures that are computed from test images and the draws that defend.

    An author declares `quantities` and `figure_names`, and writes `measure` and `figures`. Raises `PluginError` while a
    subclass is defined if a quantity has the name of a field of records, or a figure that of a field of rows.
    """

    kind: ClassVar[str] = "measure"
    quantities: ClassVar[tuple[Quantity, ...]] = ()
    """The arrays and numbers that `measure` returns. The store keeps them."""
    figure_names: ClassVar[tuple[str, ...]] = ()
    """The names that `figures` returns, in the order of the columns of a table."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if taken := sorted({one.name for one in cls.quantities} & RESERVED):
            raise PluginError(f"{name_in_messages(cls)}: records have a field '{taken[0]}': rename that quantity")
        if taken := sorted(set(cls.figure_names) & ROW_FIELDS):
            raise PluginError(f"{name_in_messages(cls)}: rows have a field '{taken[0]}': rename that figure")

    def measure(self, defence: Defence) -> dict[str, Any]:
        """The declared quantities by name, as numpy arrays and plain Python numbers."""
        raise NotImplementedError

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        """The figures that reports show, by name, from the quantities. The names are those of `figure_names`."""
        raise NotImplementedError


class MeasureMeasurement(Measurement):
    """The measurement of measures. It needs no threat, and each cell is a task of its own."""

    needs_threat: ClassVar[bool] = False
    component: Measure

    def __init__(self, component: Measure) -> None:
        super().__init__(component)
        self.schema = Schema(component.quantities)

    def run(self, defence: Defence, threats: Sequence[Threat], keep: Keep) -> list[dict[str, Any]]:
        """A list with one result, the quantities by name.

        Raises `ContractBreach` if they are not those that the measure declares.
        """
        _ = defence.clean
        values = self.component.measure(defence)
        if not isinstance(values, Mapping):
            raise ContractBreach(f"{self._name} gave {type(values).__name__}, not a mapping from names to quantities")
        wrong = self.schema.wrong_numbers(values) + self.schema.wrong_arrays(values, len(defence.sample.y))
        wrong += sorted(values.keys() - {quantity.field for quantity in self.schema.quantities})
        if wrong:
            raise ContractBreach(f"{self._name} gave {', '.join(wrong)} that its quantities do not allow")
        return [dict(values)]

    def restored(self, values: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """The quantities by name, unchanged."""
        return dict(values)

    def row(self, result: Mapping[str, Any] | None) -> dict[str, Any]:
        """The figures of the measure by name.

        Raises `ContractBreach` if `figures` returns other names than `figure_names`, or a value that is neither None
        nor a finite number.
        """
        names = self.component.figure_names
        if result is None:
            return dict.fromkeys(names)
        figures = self.component.figures(result)
        if not isinstance(figures, Mapping) or set(figures) != set(names):
            given = ", ".join(map(str, figures)) if isinstance(figures, Mapping) else type(figures).__name__
            raise ContractBreach(f"{self._name} gave the figures {given}, not {', '.join(names)}")
        for name in names:
            value = figures[name]
            if value is not None and not (isinstance(value, float | int) and math.isfinite(value)):
                raise ContractBreach(f"{self._name} gave a figure {name} that is no finite number: {value!r}")
        return {name: figures[name] for name in names}

    @property
    def _name(self) -> str:
        return f"measure {name_in_messages(type(self.component))}"
