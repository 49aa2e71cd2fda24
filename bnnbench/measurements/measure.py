"""Measures: components that compute figures of a defence without an attack."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, get_args

from bnnbench.core.component import Component
from bnnbench.core.posterior import Posterior
from bnnbench.core.threat import Threat
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import ContractBreach, PluginError
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.lent import lent
from bnnbench.measurements.measurement import Context, Keep, Measurement
from bnnbench.measurements.schema import IMAGE, RESERVED, ROW_FIELDS, Dtype, Quantity, Schema

_FIGURE = re.compile(r"[a-z][a-z0-9_]*")
"""The names that figures may have: they are columns of tables, of csv files and of data frames."""

FIT_SECONDS = "fit_seconds"
"""The figure of a table's columns that is the time of the fit."""


class Measure(Component):
    """The base class of measures: figures that are computed from test images and the draws that defend.

    An author declares `quantities` and `figure_names`, and writes `measure` and `figures`. Raises `PluginError` while a
    subclass is defined if a quantity has the name of a field of records, or a figure that of a field of rows.
    """

    kind: ClassVar[str] = "measure"
    quantities: ClassVar[tuple[Quantity, ...]] = ()
    """The arrays and numbers that `measure` returns. The store keeps them."""
    figure_names: ClassVar[tuple[str, ...]] = ()
    """The names that `figures` returns, in the order of the columns of a table."""
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The columns of a table by head, if they are not one for each figure: a figure, or one with the ends of its
    interval. The figure `fit_seconds` is the time of the fit. Columns without any value are left out."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if problem := _problem(cls.quantities, cls.figure_names) or _column_problem(cls.columns, cls.figure_names):
            raise PluginError(f"{name_in_messages(cls)}: {problem}")

    @property
    def needed_fits(self) -> tuple[Posterior, ...]:
        """The posteriors whose fits the measure compares with: all those among its parameters.

        `measure` gets their predictives from `defence.fitted`.
        """
        return tuple(one for _, one in self.components() if isinstance(one, Posterior))

    def measure(self, defence: Defence) -> dict[str, Any]:
        """The declared quantities by name, as numpy arrays and plain Python numbers."""
        raise NotImplementedError

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        """The figures that reports show, by name, from the quantities. The names are those of `figure_names`."""
        raise NotImplementedError

    def remarks(self, results: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> list[str]:
        """Lines below the table of a data set and network: what the posteriors show together. None by default.

        `results` are the quantities by the label of the posterior, then by seed.
        """
        return []


class MeasureMeasurement(Measurement):
    """The measurement of measures. It needs no threat, and each cell is a task of its own."""

    needs_threat: ClassVar[bool] = False
    component: Measure

    def __init__(self, component: Measure) -> None:
        super().__init__(component)
        self.schema = Schema(component.quantities)

    @property
    def needed_fits(self) -> tuple[Posterior, ...]:
        """Those of the measure."""
        return self.component.needed_fits

    def run(self, defence: Defence, threats: Sequence[Threat], keep: Keep) -> list[dict[str, Any]]:
        """A list with one result, the quantities by name.

        Raises `ContractBreach` if they are not those that the measure declares.
        """
        values = self._measured(defence)
        if not isinstance(values, Mapping):
            raise ContractBreach(f"{self._name} gave {type(values).__name__}, not a mapping from names to quantities")
        wrong = self.schema.wrong_numbers(values) + self.schema.wrong_arrays(values, len(defence.sample.y))
        wrong += sorted(values.keys() - {quantity.field for quantity in self.schema.quantities})
        if wrong:
            raise ContractBreach(f"{self._name} gave {', '.join(wrong)} that its quantities do not allow")
        return [dict(values)]

    def _measured(self, defence: Defence) -> Any:
        """What `measure` returns.

        Raises `ContractBreach` if it changes the predictive or the clean predictions, which other measures use too,
        draws from a global random state, or changes a setting of the process.
        """
        with lent(defence, self._name) as lending:
            return self.component.measure(lending)

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
            if value is not None and not (isinstance(value, Real) and math.isfinite(value)):
                raise ContractBreach(f"{self._name} gave a figure {name} that is no finite number: {value!r}")
        return {name: _plain(figures[name]) for name in names}

    @property
    def _name(self) -> str:
        return f"measure {name_in_messages(type(self.component))}"


def _problem(quantities: tuple[Quantity, ...], figure_names: tuple[str, ...]) -> str:
    """What is wrong with the quantities and figures of a measure; empty if nothing is."""
    names = [one.name for one in quantities]
    if taken := sorted(set(names) & RESERVED):
        return f"records have a field '{taken[0]}': rename that quantity"
    if taken := sorted(set(figure_names) & ROW_FIELDS):
        return f"rows have a field '{taken[0]}': rename that figure"
    if twice := [name for name in (*names, *figure_names) if (names.count(name) > 1 or figure_names.count(name) > 1)]:
        return f"the name '{twice[0]}' stands twice"
    if wrong := [name for name in figure_names if not _FIGURE.fullmatch(name)]:
        return f"figure {wrong[0]!r}: a name has small letters, digits and underscores, and begins with a letter"
    if wrong := [one.name for one in quantities if one.dtype not in get_args(Dtype)]:
        return f"quantity '{wrong[0]}': its type is one of {', '.join(get_args(Dtype))}"
    if "index" not in names and any(IMAGE in one.axes for one in quantities):
        return "with values for each image it needs the quantity 'index', the positions of the images in the test set"
    return ""


def _column_problem(columns: Mapping[str, tuple[str, ...]], figure_names: tuple[str, ...]) -> str:
    """What is wrong with the columns of a measure; empty if nothing is."""
    for head, names in columns.items():
        if len(names) not in (1, 3):
            return f"column '{head}': it has one figure, or one with both ends of its interval"
        if unknown := sorted({*names} - {*figure_names, FIT_SECONDS}):
            return f"column '{head}': there is no figure '{unknown[0]}'"
    return ""


def _plain(value: Any) -> float | int | None:
    return None if value is None else int(value) if isinstance(value, Integral) else float(value)
