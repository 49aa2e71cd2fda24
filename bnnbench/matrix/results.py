"""What a store holds of a plan: one row for each cell asked for, and what follows from several of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core.dataset import name_of
from bnnbench.errors import StoreError, one_line
from bnnbench.evidence.outcome import Outcome
from bnnbench.matrix import stored_outcome
from bnnbench.matrix.environment import gives_the_same_bits
from bnnbench.matrix.plan import CellSpec, FitSpec, Plan
from bnnbench.matrix.store import CELLS, DRAWS, FITS, Store

if TYPE_CHECKING:
    import pandas

    from bnnbench.matrix.verification import Check

FINAL = ("ok", "skipped")
"""Statuses that are kept; a cell of any other is tried again by the next run."""


@dataclass(frozen=True)
class Cell:
    """A cell asked for, and what became of it: `ok | failed | timeout | invalid | skipped | missing`."""

    spec: CellSpec
    status: str
    reason: str
    warnings: list[str]
    card: str | None
    outcome: Outcome | None


class Results:
    """A view of a store through a plan.

    `verified` holds records of cells, by key, that have just been read and checked and need not be again; `checks`
    says how cells came out that were computed once more.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        verified: Mapping[str, dict[str, Any]] | None = None,
        checks: Sequence[Check] = (),
    ) -> None:
        self.plan, self.store, self._verified, self.checks = plan, store, dict(verified or {}), checks
        self._images: dict[str, np.ndarray] = {}
        self._test_data: dict[str, tuple[int, Mapping[str, Any]]] = {}

    @functools.cached_property
    def cells(self) -> list[Cell]:
        """Every cell asked for, in the order of the file."""
        return [self._cell(spec) for spec in self.plan.cells]

    @functools.cached_property
    def _fits(self) -> dict[str, dict[str, Any] | None]:
        return {key: self.store.record(FITS, key) for key in self.plan.fits}

    def known(self, kind: str, key: str) -> dict[str, Any] | None:
        """A record that has been read already, or is read now."""
        if kind == FITS:
            return self._fits.get(key)
        if key not in self._verified:
            record = self.store.record(kind, key)
            if record is None:
                return None
            self._verified[key] = record
        return self._verified[key]

    def fit_record(self, spec: FitSpec) -> dict[str, Any] | None:
        """The record of a fit, None if there is none."""
        return self._fits[spec.key]

    def _cell(self, spec: CellSpec) -> Cell:
        fit = self.fit_record(spec.fit)
        level, why = _told_by_the_card((fit or {}).get("card"))
        if fit is not None and fit["status"] != "ok":
            # What is wrong with the fit is wrong with its cells; a fit that failed leaves nothing to attack.
            status = "invalid" if fit["status"] == "invalid" else "skipped"
            reason = fit["reason"] if fit["status"] in FINAL else f"its fit {_WORDS[fit['status']]}: {fit['reason']}"
            return Cell(spec, status, one_line(reason), [], level, None)
        if (breach := self._other_test_data(spec, fit)) is not None:
            return Cell(spec, "invalid", breach, [], level, None)
        record = self.known(CELLS, spec.key)
        if record is None:
            damaged = (CELLS, spec.key) in self.store.distrusted
            reason = "damaged in the store; the next run computes it again" if damaged else "not run yet"
            return Cell(spec, "missing", reason, [], level, None)
        if record["status"] != "ok":
            return Cell(spec, record["status"], one_line(record["reason"]), [], level, None)
        if fit is None:
            # Without its record nothing says whether the posterior has converged.
            return Cell(spec, "missing", "the record of its fit is not in the store", [], level, None)
        if not has_these_draws(record, fit):
            return Cell(spec, "missing", "its fit was computed anew since, and has other draws", [], level, None)
        try:
            outcome = stored_outcome.loaded(self.store, spec.key, record)
        except StoreError as error:
            return Cell(spec, "missing", one_line(str(error)), [], level, None)
        # All outcomes of a fit are about the same images: what survives every attack is counted image by image.
        if not np.array_equal(outcome.index, self._images.setdefault(spec.fit.key, outcome.index)):
            return Cell(spec, "missing", "it is about other images than other outcomes of its fit", [], level, None)
        warnings = [one_line(str(warning)) for warning in record["warnings"]]
        if level == "short":
            warnings.append(f"posterior is short: {why}")
        if outcome.zero_gradient.any():
            warnings.append(f"plain gradient exactly zero at {int(outcome.zero_gradient.sum())} images")
        if outcome.zero_direction is not None and outcome.zero_direction.any():
            warnings.append(f"attack direction exactly zero at {int(outcome.zero_direction.sum())} images")
        if outcome.constant:
            warnings.append("every clean image is given one and the same class")
        return Cell(spec, "ok", "", warnings, level, outcome)

    def _other_test_data(self, spec: CellSpec, fit: Mapping[str, Any] | None) -> str | None:
        """What is wrong with a fit whose data set has other test data at its seed than at the first of this plan: a
        mean over seeds would be one over other images. Another environment may have rounded them otherwise."""
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
        """One object a cell, its keys in a fixed order: what `report --format json` prints."""
        return [_row(cell) for cell in self.cells]

    def frame(self) -> pandas.DataFrame:
        """The rows as a pandas data frame."""
        import pandas

        return pandas.DataFrame(self.rows())

    @property
    def complete(self) -> bool:
        """True if every cell is ok or skipped because it makes no sense, and what was computed again came out right."""
        fine = all(cell.status == "ok" or _makes_no_sense(self, cell) for cell in self.cells)
        return fine and all(check.right for check in self.checks)


def has_these_draws(cell: Mapping[str, Any], fit: Mapping[str, Any]) -> bool:
    """Whether the record of a cell is about the draws of this fit's record.

    A fit that is lost and computed anew in another environment has other draws, though it has the same key.
    """
    draws = fit["artefacts"].get(DRAWS, {}).get("sha256")
    return bool(cell.get("draws_sha256", draws) == draws)


def _told_by_the_card(card: Any) -> tuple[str | None, str]:
    """The level and the reason of a fit's card, None and nothing if it has none that can be read."""
    if not isinstance(card, dict) or "level" not in card:
        return None, ""
    return one_line(str(card["level"])), one_line(str(card.get("why", "")))


def _makes_no_sense(results: Results, cell: Cell) -> bool:
    fit = results.fit_record(cell.spec.fit)
    return cell.status == "skipped" and (fit is None or fit["status"] in FINAL)


_WORDS = {"failed": "failed", "timeout": "timed out", "invalid": "is invalid"}


def _row(cell: Cell) -> dict[str, Any]:
    spec = cell.spec
    return {
        "dataset": spec.dataset,
        "network": spec.network,
        "posterior": spec.posterior,
        "attack": spec.attack,
        "epsilon": spec.threat.epsilon,
        "norm": spec.threat.norm,
        "stream": spec.threat.stream,
        "seed": spec.seed,
        "status": cell.status,
        "reason": cell.reason,
        "warnings": cell.warnings,
        **figures(cell.outcome),
        "fit": spec.fit.key,
        "cell": spec.key,
        "card": cell.card,
        "access": spec.threat.access,
        "goal": spec.threat.goal,
        "attack_draws_asked": spec.threat.attack_draws,
    }


def figures(outcome: Outcome | None) -> dict[str, Any]:
    """What a row says of an outcome; every figure is None if there is none."""
    low, high = outcome.interval if outcome else (None, None)
    clean_low, clean_high = outcome.clean_interval if outcome else (None, None)
    return {
        "images": len(outcome) if outcome else None,
        "draws": outcome.draws if outcome else None,
        "attack_draws": outcome.attack_draws if outcome else None,
        "clean_accuracy": outcome.clean_accuracy if outcome else None,
        "clean_low": clean_low,
        "clean_high": clean_high,
        "robust_accuracy": outcome.robust_accuracy if outcome else None,
        "low": low,
        "high": high,
        "attacked_accuracy": outcome.attacked_accuracy if outcome else None,
        "softmax_robustness": outcome.softmax_robustness if outcome else None,
        "zero_gradient_share": outcome.zero_gradient_share if outcome else None,
        "zero_direction_share": outcome.zero_direction_share if outcome else None,
    }


def worst_case(outcomes: list[Outcome]) -> np.ndarray:
    """Where an image is robust under every one of several attacks on the same fit, threat and images, (N,) bool."""
    return np.logical_and.reduce([outcome.robust for outcome in outcomes])
