"""The results of a plan: its cells with their status, figures and outcomes from a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core.dataset import name_of
from bnnbench.errors import DamagedArtefact, StoreError, one_line
from bnnbench.evidence.rows import row_of
from bnnbench.matrix.plan import CellSpec, FitSpec, Plan
from bnnbench.measurements.measurement import Notes
from bnnbench.store import codec
from bnnbench.store.environment import gives_the_same_bits
from bnnbench.store.records import FINAL
from bnnbench.store.store import CELLS, DRAWS, FITS, Store

if TYPE_CHECKING:
    import pandas

_DAMAGED = "damaged in the store; the next run computes it again"
"""The reason of a cell whose record or arrays are damaged."""
_KEPT = ("status", "reason", "artefacts", "environment", "data", "test_data", "card", "warnings", "draws_sha256")
"""The fields of a record that results keep in memory."""


@dataclass(frozen=True)
class Check:
    """The comparison of a cell with its repetition: whether they agree, and a message that says why or why not."""

    cell: CellSpec
    right: bool
    message: str


@dataclass(frozen=True)
class Cell:
    """A cell of a plan with its status: `ok`, `failed`, `timeout`, `invalid`, `skipped` or `missing`.

    `card` is the level of the fit's card, or None. `figures` maps the names of figures to their values, which are None
    if the cell has no result. `marks` maps marks of tables to lines that say what they mean for this cell. `robust`
    (N,) says at which images an attack failed; it is None for other measurements. Other arrays stay on disk until
    `outcome` loads them.
    """

    spec: CellSpec
    status: str
    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    card: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    marks: Notes = field(default_factory=dict)
    robust: np.ndarray | None = None
    store: Store | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the cell has a result."""
        return self.status == "ok"

    @property
    def outcome(self) -> Any | None:
        """The result of the cell, loaded from the store; None if it has none."""
        if not self.ok or self.store is None:
            return None
        record = self.store.record(CELLS, self.spec.key)
        return (
            None
            if record is None
            else codec.loaded(self.store, self.spec.key, record, self.spec.measurement, self.spec.context)
        )

    def row(self) -> dict[str, Any]:
        """The row of the cell in reports, by column."""
        return row_of(self.spec, self.status, self.reason, self.warnings, self.card, self.figures)


class Results:
    """The part of a store that a plan asks for. `checks` holds the comparisons of cells that were computed again."""

    def __init__(self, plan: Plan, store: Store, checks: Sequence[Check] = ()) -> None:
        self.plan, self.store, self.checks = plan, store, checks
        self._records: dict[tuple[str, str], dict[str, Any] | None] = {}
        self._environments: list[dict[str, Any]] = []
        self._images: dict[str, np.ndarray] = {}
        self._test_data: dict[str, tuple[int, Mapping[str, Any]]] = {}
        self._cells: list[Cell] | None = None

    @property
    def cells(self) -> list[Cell]:
        """Every cell of the plan, in the order of the file."""
        if self._cells is None:
            self._cells = [self._cell(spec) for spec in self.plan.cells]
        return self._cells

    def known(self, kind: str, key: str) -> dict[str, Any] | None:
        """The main fields of a record (`_KEPT`), read from the store once; None if there is no record."""
        if (kind, key) not in self._records:
            record = self.store.record(kind, key)
            self._records[kind, key] = None if record is None else self._shortened(record)
        return self._records[kind, key]

    def fit_record(self, spec: FitSpec) -> dict[str, Any] | None:
        """The main fields of a fit's record; None if there is no record."""
        return self.known(FITS, spec.key)

    def _shortened(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The main fields of a record; equal environments of different records are one object."""
        short = {name: record[name] for name in _KEPT if name in record}
        # Thousands of records have the same environment.
        for environment in self._environments:
            if environment == short["environment"]:
                short["environment"] = environment
                return short
        self._environments.append(short["environment"])
        return short

    def _cell(self, spec: CellSpec) -> Cell:
        """A cell of the plan with its status, and with the figures of its result if it has one."""
        fit = self.fit_record(spec.fit)
        level, why = _of_the_card((fit or {}).get("card"))

        def without_result(status: str, reason: str) -> Cell:
            return Cell(spec, status, reason, [], level, spec.measurement.row(None))

        if fit is not None and fit["status"] != "ok":
            # Cells of an invalid fit are invalid. Cells of a fit that failed cannot be measured.
            status = "invalid" if fit["status"] == "invalid" else "skipped"
            reason = fit["reason"] if fit["status"] in FINAL else f"its fit {_WORDS[fit['status']]}: {fit['reason']}"
            return without_result(status, one_line(reason))
        if (breach := self._other_test_data(spec, fit)) is not None:
            return without_result("invalid", breach)
        record = self.store.record(CELLS, spec.key)
        self._records[CELLS, spec.key] = None if record is None else self._shortened(record)
        if record is None:
            damaged = (CELLS, spec.key) in self.store.distrusted
            return without_result("missing", _DAMAGED if damaged else "not run yet")
        if record["status"] != "ok":
            return without_result(record["status"], one_line(record["reason"]))
        if fit is None:
            # The card, which is in the fit's record, is unknown.
            return without_result("missing", "the record of its fit is not in the store")
        if not is_about(record.get("draws_sha256"), fit):
            return without_result("missing", "its fit was computed anew since, and has other draws")
        try:
            result = codec.loaded(self.store, spec.key, record, spec.measurement, spec.context)
        except DamagedArtefact:
            return without_result("missing", _DAMAGED)
        except StoreError as error:
            return without_result("missing", one_line(str(error)))
        # All results of a fit must have the same images, because the worst case is computed for each image.
        index = _index(result)
        if index is not None and not np.array_equal(index, self._images.setdefault(spec.fit.key, index)):
            return without_result("missing", "it is about other images than other outcomes of its fit")
        try:
            return self._with_result(spec, record, result, level, why)
        except Exception as error:  # noqa: BLE001 - a plugin computes figures, and the other rows must be reported
            cause = f"its figures cannot be computed: {type(error).__name__}: {error}"
            return without_result("invalid", one_line(cause))

    def _with_result(self, spec: CellSpec, record: Mapping[str, Any], result: Any, level: str | None, why: str) -> Cell:
        """A cell that is `ok`, with the figures, marks and warnings of its result; `why` is the reason of its card."""
        notes = spec.measurement.notes(result)
        warnings = [one_line(str(warning)) for warning in record["warnings"]]
        if level == "short":
            warnings.append(f"posterior is short: {why}")
        warnings += notes.values()
        figures, robust = spec.measurement.row(result), getattr(result, "robust", None)
        return Cell(spec, "ok", "", warnings, level, figures, notes, robust, self.store)

    def _other_test_data(self, spec: CellSpec, fit: Mapping[str, Any] | None) -> str | None:
        """A message if a fit has other test data than the first fit of its data set in the plan; otherwise None.

        Seeds must not change the test data, because figures are averaged over seeds. In another environment the data
        may be rounded differently, which is allowed.
        """
        if fit is None or "test_data" not in fit:
            return None
        seed, first = self._test_data.setdefault(spec.dataset, (spec.seed, fit))
        same = fit["test_data"] == first["test_data"]
        if same or not gives_the_same_bits(fit["environment"], first["environment"]):
            return None
        return one_line(
            f"{name_of(spec.fit.dataset)} gave other test data for seed {spec.seed} than for seed {seed}: "
            "a seed varies the training sample alone"
        )

    def rows(self) -> list[dict[str, Any]]:
        """The row of each cell, by column in a fixed order: the objects that `report --format json` prints."""
        return [cell.row() for cell in self.cells]

    def outcomes(self) -> Iterator[tuple[CellSpec, Any]]:
        """Each cell that has a result, with its result, which is loaded when it is reached."""
        for cell in self.cells:
            if cell.ok:
                yield cell.spec, cell.outcome

    def frame(self) -> pandas.DataFrame:
        """The rows as a pandas data frame."""
        import pandas

        return pandas.DataFrame(self.rows())

    @property
    def complete(self) -> bool:
        """Whether every cell is `ok`, or skipped because its components do not fit together, and all checks agree."""
        done = all(cell.ok or self._is_incompatible(cell) for cell in self.cells)
        return done and all(check.right for check in self.checks)

    def _is_incompatible(self, cell: Cell) -> bool:
        """Whether a cell is skipped for a reason other than the failure of its fit."""
        fit = self.fit_record(cell.spec.fit)
        return cell.status == "skipped" and (fit is None or fit["status"] in FINAL)


def is_about(draws_sha256: str | None, fit: Mapping[str, Any]) -> bool:
    """Whether a cell with this checksum of draws was computed with the draws of this fit's record.

    The draws can differ although the key is the same, if the fit was lost and computed again in another environment.
    True for a cell without a checksum.
    """
    draws = fit["artefacts"].get(DRAWS, {}).get("sha256")
    return draws_sha256 is None or draws_sha256 == draws


def _index(result: Any) -> np.ndarray | None:
    """The positions in the test set of the images of a result; None if it does not say them."""
    index: np.ndarray | None = result.get("index") if isinstance(result, Mapping) else getattr(result, "index", None)
    return index


def _of_the_card(card: Any) -> tuple[str | None, str]:
    """The level and the reason of a fit's card; None and an empty text if it has no readable card."""
    if not isinstance(card, dict) or "level" not in card:
        return None, ""
    return one_line(str(card["level"])), one_line(str(card.get("why", "")))


_WORDS = {"failed": "failed", "timeout": "timed out", "invalid": "is invalid"}
"""The words for the status of a fit in the reasons of its cells."""
