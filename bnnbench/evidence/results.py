"""The results of a plan: its cells with their status, figures and outcomes from a store."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bnnbench.errors import StoreError, one_line
from bnnbench.evidence import overview
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.cell_reader import CellReader
from bnnbench.evidence.difference import Differences
from bnnbench.evidence.differences import between_attacks, between_posteriors, between_results
from bnnbench.evidence.false_proofs import without_false_proofs
from bnnbench.evidence.lines import Group, groups
from bnnbench.evidence.metric_rows import with_metrics
from bnnbench.evidence.row_kinds import ROWS, card_figures
from bnnbench.evidence.traces import Traces, read_traces
from bnnbench.matrix.plan import CellSpec, FitSpec, Plan, make_plan
from bnnbench.measurements.metric_names import Metrics
from bnnbench.store.layout import TRACES
from bnnbench.store.records import FINAL
from bnnbench.store.store import FITS, Store

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Check:
    """The comparison of a cell with its repetition: whether they agree, and a message that says why or why not."""

    cell: CellSpec
    right: bool
    message: str


class Results:
    """The part of a store that a plan asks for. `checks` holds the comparisons of cells that were computed again.

    `metrics` are computed of the outcomes of attacks, and shown in rows of cells and in tables.
    """

    def __init__(self, plan: Plan, store: Store, checks: Sequence[Check] = (), metrics: Metrics | None = None) -> None:
        self.plan, self.store, self.checks, self.metrics = plan, store, checks, metrics or {}
        self._reader = CellReader(store)
        self._cells: list[Cell] | None = None

    def __repr__(self) -> str:
        return overview.as_text(self.where, self.cells)

    def _repr_html_(self) -> str:
        return overview.as_html(self.where, self.cells)

    @property
    def where(self) -> str:
        """The file and the store."""
        return f"{self.plan.config.path} in {self.store.path}"

    @property
    def cells(self) -> list[Cell]:
        """Every cell of the plan, in the order of the file."""
        if self._cells is None:
            cells = [self._reader.cell(spec) for spec in self.plan.cells]
            proven = any(cell.certified is not None for cell in cells)
            self._cells = without_false_proofs([*cells, *(self._left_out if proven else [])])[: len(cells)]
        return self._cells

    @functools.cached_property
    def _left_out(self) -> list[Cell]:
        """The cells that `only` has left out and that may contradict a certificate on a fit of the plan."""
        if not self.plan.only:
            return []
        own = {spec.key for spec in self.plan.cells}
        specs = [spec for spec in make_plan(self.plan.config).cells if spec.fit.key in self.plan.fits and spec.threat]
        return [self._reader.cell(spec) for spec in specs if spec.key not in own]

    @property
    def groups(self) -> list[Group]:
        """The cells of attacks and certificates as tables show them: by data set and network, posterior and threat."""
        return groups(self.cells)

    def cell(self, spec: CellSpec) -> Cell:
        """A cell, which need not be one of the plan, with its status in the store."""
        return self._reader.cell(spec)

    def checked(self, spec: CellSpec) -> Cell:
        """A cell, which need not be one of the plan; a certificate that a cell of the file contradicts is `invalid`."""
        if (own := self._by_key.get(spec.key)) is not None:
            return own
        cell = self.cell(spec)
        return cell if cell.certified is None else without_false_proofs([cell, *self.cells, *self._left_out])[0]

    @functools.cached_property
    def _by_key(self) -> dict[str, Cell]:
        """The cells of the plan by key."""
        return {cell.spec.key: cell for cell in self.cells}

    def known(self, kind: str, key: str) -> dict[str, Any] | None:
        """The main fields of a record; None if there is no record."""
        return self._reader.known(kind, key)

    def fit_record(self, spec: FitSpec) -> dict[str, Any] | None:
        """The main fields of a fit's record; None if there is no record."""
        return self.known(FITS, spec.key)

    def card(self, spec: FitSpec) -> Mapping[str, Any]:
        """The posterior card of a fit; empty if it has no readable card."""
        return self._reader.card(spec)

    def traces(self, spec: FitSpec) -> Traces:
        """The traces of a few functionals of a fit, (chains, draws) each; empty if its record has none to be read."""
        record = self.fit_record(spec)
        if record is None or TRACES not in record["artefacts"]:
            return {}
        try:
            return read_traces(self.store.artefact(FITS, spec.key, record, TRACES))
        except (StoreError, ValueError):
            return {}

    def rows(self, kind: str = "cells") -> list[dict[str, Any]]:
        """Rows by column in a fixed order: the objects that `report --format json --rows KIND` prints.

        `cells`: a row for each cell, with metrics at the end. `worst`: one for each worst case over attacks, as tables
        show it. `images`: one for each image of each fit and threat. `times`: the seconds of each cell. Raises
        `ValueError` for any other kind.
        """
        if kind not in ROWS:
            raise ValueError(f"there are no rows '{kind}': choose one of {', '.join(ROWS)}")
        rows = ROWS[kind](self.cells, self._reader.card)
        return with_metrics(rows, self.cells, self.metrics) if kind == "cells" and self.metrics else rows

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
            cards = {key: card_figures([self._reader.card(fit)]) for key, fit in self.plan.fits.items()}
            made = [{**row, **cards[row["fit"]], **row} for row in made]
        return pandas.DataFrame(made)

    def differences(self, other: Results | None = None, *, attacks: bool = False) -> Differences:
        """The differences of robust accuracy, each with its interval and p-values adjusted for all of them.

        Without `other` they are those between all posteriors under each threat, in the worst case over attacks; with
        `attacks` those between all attacks on each fit. With `other` they are those between lines of equal labels of
        the two results, or with `attacks` between the attacks of these. Raises `ConfigError` if test images differ.
        """
        if other is not None:
            return between_results(
                self.cells, other.cells, (one_line(self.where), one_line(other.where)), attacks=attacks
            )
        return (between_attacks if attacks else between_posteriors)(groups(self.cells))

    @property
    def complete(self) -> bool:
        """Whether every cell is `ok`, or skipped because its components do not fit together, and all checks agree."""
        done = all(cell.ok or self._is_incompatible(cell) for cell in self.cells)
        return done and all(check.right for check in self.checks)

    def _is_incompatible(self, cell: Cell) -> bool:
        """Whether a cell is skipped for a reason other than the failure of its fit."""
        fit = self.fit_record(cell.spec.fit)
        return cell.status == "skipped" and (fit is None or fit["status"] in FINAL)
