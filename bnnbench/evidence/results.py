"""The results of a plan: its cells with their status, figures and outcomes from a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core.dataset import name_of
from bnnbench.core.network_files import FIELD, changed, in_record
from bnnbench.errors import DamagedArtefact, StoreError, message_of, one_line
from bnnbench.evidence import overview
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.clean_predictions import CleanPredictions
from bnnbench.evidence.row_kinds import ROWS, card_figures
from bnnbench.matrix.plan import CellSpec, FitSpec, Plan
from bnnbench.plugins.signals import contained
from bnnbench.store import codec
from bnnbench.store.environment import gives_the_same_bits
from bnnbench.store.records import FINAL
from bnnbench.store.store import CELLS, DRAWS, FITS, Store

if TYPE_CHECKING:
    import pandas

_DAMAGED = "damaged in the store; the next run computes it again"
"""The reason of a cell whose record or arrays are damaged."""
_KEPT = ("status", "reason", "artefacts", "environment", "data", "test_data", "card", "warnings", "draws_sha256", FIELD)
"""The fields of a record that results keep in memory."""
_ENDED = {"failed": "failed", "timeout": "timed out", "invalid": "is invalid"}
"""How a fit with each status ended, in the reasons of its cells."""


@dataclass(frozen=True)
class Check:
    """The comparison of a cell with its repetition: whether they agree, and a message that says why or why not."""

    cell: CellSpec
    right: bool
    message: str


class Results:
    """The part of a store that a plan asks for. `checks` holds the comparisons of cells that were computed again."""

    def __init__(self, plan: Plan, store: Store, checks: Sequence[Check] = ()) -> None:
        self.plan, self.store, self.checks = plan, store, checks
        self._records: dict[tuple[str, str], dict[str, Any] | None] = {}
        self._environments: list[dict[str, Any]] = []
        self._images: dict[str, np.ndarray] = {}
        self._clean = CleanPredictions()
        self._test_data: dict[str, tuple[int, Mapping[str, Any]]] = {}
        self._cells: list[Cell] | None = None

    def __repr__(self) -> str:
        return overview.as_text(self._where, self.cells)

    def _repr_html_(self) -> str:
        return overview.as_html(self._where, self.cells)

    @property
    def _where(self) -> str:
        return f"{self.plan.config.path} in {self.store.path}"

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
        level, why = _level_and_reason((fit or {}).get("card"))

        def without_result(status: str, reason: str) -> Cell:
            return Cell(spec, status, reason, [], level, spec.measurement.row(None))

        if (file := changed(in_record(fit), spec.fit.network)) is not None:
            reason = f"{file}, which its network read when it was fitted, has changed since: the next run fits it anew"
            return without_result("missing", one_line(reason))
        if fit is not None and fit["status"] != "ok":
            # Cells of an invalid fit are invalid. Cells of a fit that failed cannot be measured.
            status = "invalid" if fit["status"] == "invalid" else "skipped"
            reason = fit["reason"] if fit["status"] in FINAL else f"its fit {_ENDED[fit['status']]}: {fit['reason']}"
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
        except DamagedArtefact as error:
            damaged = (CELLS, spec.key) in self.store.distrusted
            return without_result("missing", _DAMAGED if damaged else one_line(str(error)))
        except StoreError as error:
            return without_result("missing", one_line(str(error)))
        # All results of a fit must have the same images, because the worst case is computed for each image.
        index = _index(result)
        if index is not None and not np.array_equal(index, self._images.setdefault(spec.fit.key, index)):
            return without_result("missing", "it is about other images than other outcomes of its fit")
        if (told := self._clean.differing(spec, record["environment"], result)) is not None:
            return without_result("invalid", told)
        try:
            with contained():
                return self._with_result(spec, record, result, level, why)
        except Exception as error:  # noqa: BLE001 - a plugin computes figures, and the other rows must be reported
            return without_result("invalid", one_line(f"its figures cannot be computed: {message_of(error)}"))

    def _with_result(self, spec: CellSpec, record: Mapping[str, Any], result: Any, level: str | None, why: str) -> Cell:
        """A cell that is `ok`, with the figures, marks and warnings of its result; `why` is the reason of its card."""
        notes = spec.measurement.notes(result)
        warnings = [one_line(str(warning)) for warning in record["warnings"]]
        if level == "short":
            warnings.append(f"posterior is short: {why}")
        card = self._card(spec.fit)
        if held := card.get("held_fixed"):
            warnings.append(one_line(f"posterior is for a network in eval mode: {held}"))
        warnings += notes.values()
        figures, robust = spec.measurement.row(result), getattr(result, "robust", None)
        rhat = card.get("rhat") if isinstance(card.get("rhat"), int | float) else None
        return Cell(spec, "ok", "", warnings, level, figures, notes, robust, self.store, rhat)

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

    def rows(self, kind: str = "cells") -> list[dict[str, Any]]:
        """Rows by column in a fixed order: the objects that `report --format json --rows KIND` prints.

        `cells`: a row for each cell. `worst`: one for each worst case over attacks, as tables show it. `images`: one
        for each image of each fit and threat. Raises `ValueError` for any other kind.
        """
        if kind not in ROWS:
            raise ValueError(f"there are no rows '{kind}': choose one of {', '.join(ROWS)}")
        return ROWS[kind](self.cells, self._card)

    def outcomes(self) -> Iterator[tuple[CellSpec, Any]]:
        """Each cell that has a result, with its result, which is loaded when it is reached."""
        for cell in self.cells:
            if cell.ok:
                yield cell.spec, cell.outcome

    def frame(self, rows: str = "cells") -> pandas.DataFrame:
        """The rows of a kind (see `rows`) as a pandas data frame, with the main figures of each fit's posterior card.

        Columns `card_why`, `card_rhat`, `card_ess` and `card_divergences` stand beside the level, `card`.
        """
        import pandas

        made = self.rows(rows)
        if rows != "worst":  # Its rows have the figures of cards already: they may be about several fits.
            cards = {key: card_figures([self._card(fit)]) for key, fit in self.plan.fits.items()}
            made = [{**row, **cards[row["fit"]], **row} for row in made]
        return pandas.DataFrame(made)

    def _card(self, spec: FitSpec) -> Mapping[str, Any]:
        """The posterior card of a fit; empty if it has no readable card."""
        card = (self.fit_record(spec) or {}).get("card")
        return card if isinstance(card, dict) else {}

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
    """Whether a cell was computed with the draws of a fit's record, given the checksum of draws in the cell's record.

    The draws can differ although the key is the same, if the fit was lost and computed again in another environment.
    True for a cell without a checksum.
    """
    draws = fit["artefacts"].get(DRAWS, {}).get("sha256")
    return draws_sha256 is None or draws_sha256 == draws


def _index(result: Any) -> np.ndarray | None:
    """The positions in the test set of the images of a result; None if it does not say them."""
    index: np.ndarray | None = result.get("index") if isinstance(result, Mapping) else getattr(result, "index", None)
    return index


def _level_and_reason(card: Any) -> tuple[str | None, str]:
    """The level and the reason of a fit's card; None and an empty text if it has no readable card."""
    if not isinstance(card, dict) or "level" not in card:
        return None, ""
    return one_line(str(card["level"])), one_line(str(card.get("why", "")))
