"""The cells of a plan as a store has them: each with its status, and with its figures if it has a result."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bnnbench.core.dataset import name_of
from bnnbench.core.dependencies import Change, changed, field_of
from bnnbench.errors import Incompatible, StoreError, message_of, one_line
from bnnbench.evidence.about_draws import NEEDED, is_about, other_draws
from bnnbench.evidence.cell import Cell, times_of
from bnnbench.evidence.clean_predictions import CleanPredictions
from bnnbench.matrix.plan import CellSpec, FitSpec
from bnnbench.measurements.outcome import Outcome
from bnnbench.plugins.kinds import FIT_KINDS
from bnnbench.plugins.signals import contained
from bnnbench.store import codec
from bnnbench.store.environment import gives_the_same_bits
from bnnbench.store.records import FINAL
from bnnbench.store.store import CELLS, FITS, Store

_DAMAGED = "damaged in the store; the next run computes it again"
"""The reason of a cell whose record or arrays are damaged."""
_KEPT = (
    *("status", "reason", "artefacts", "environment", "data", "test_data", "card", "warnings", "draws_sha256"),
    *(NEEDED, *map(field_of, FIT_KINDS)),
)
"""The fields of a record that results keep in memory."""
_ENDED = {"failed": "failed", "timeout": "timed out", "invalid": "is invalid"}
"""How a fit with each status ended, in the reasons of its cells."""


class _NoResult(Exception):
    """The status and the reason of a cell that has no result to be reported."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class CellReader:
    """Reads the cells of a plan from a store, one after another, and compares each with those before it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[tuple[str, str], dict[str, Any] | None] = {}
        self._environments: list[dict[str, Any]] = []
        self._images: dict[str, np.ndarray] = {}
        self._clean = CleanPredictions()
        self._changed_files: dict[str, Change | None] = {}
        self._test_data: dict[str, tuple[int, Mapping[str, Any]]] = {}

    def known(self, kind: str, key: str) -> dict[str, Any] | None:
        """The main fields of a record (`_KEPT`), read from the store once; None if there is no record."""
        if (kind, key) not in self._records:
            record = self._store.record(kind, key)
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

    def card(self, spec: FitSpec) -> Mapping[str, Any]:
        """The posterior card of a fit; empty if it has no readable card."""
        card = (self.fit_record(spec) or {}).get("card")
        return card if isinstance(card, dict) else {}

    def cell(self, spec: CellSpec) -> Cell:
        """A cell of the plan with its status, and with the figures of its result if it has one."""
        fit = self.fit_record(spec.fit)
        level, why = _level_and_reason((fit or {}).get("card"))
        try:
            self._check_fit(spec, fit)
            record = self._checked_record(spec, fit)
            result = self._loaded(spec, record)
            _check_draws(result)
            return self._with_result(spec, record, result, level, why)
        except _NoResult as ending:
            return Cell(spec, ending.status, one_line(ending.reason), [], level, spec.measurement.row(None))

    def _check_fit(self, spec: CellSpec, fit: Mapping[str, Any] | None) -> None:
        """Raise `_NoResult` if the fit of a cell did not succeed, or its files or test data have changed.

        A cell of an invalid fit is invalid. A cell of a fit that failed cannot be measured.
        """
        if (change := self._changed_file(spec.fit, fit)) is not None:
            raise _NoResult("missing", f"{change.told(' when it was fitted')}: the next run fits it anew")
        if fit is not None and other_draws(fit, spec.fit.needs, self._fit_known):
            raise _NoResult("missing", "what its fit is made of has other draws since: the next run fits it anew")
        if fit is not None and fit["status"] != "ok":
            status = "invalid" if fit["status"] == "invalid" else "skipped"
            ended = "" if fit["status"] in FINAL else f"its fit {_ENDED[fit['status']]}: "
            raise _NoResult(status, f"{ended}{fit['reason']}")
        if (breach := self._other_test_data(spec, fit)) is not None:
            raise _NoResult("invalid", breach)

    def _changed_file(self, spec: FitSpec, fit: Mapping[str, Any] | None) -> Change | None:
        """The first file that a part of a fit read and that has changed since; looked for once for each fit."""
        if spec.key not in self._changed_files:
            self._changed_files[spec.key] = changed(fit, spec.dataset, spec.network, spec.posterior)
        return self._changed_files[spec.key]

    def _checked_record(self, spec: CellSpec, fit: Mapping[str, Any] | None) -> dict[str, Any]:
        """The record of a cell. Raises `_NoResult` unless it is `ok` and about the draws of the fit's record."""
        record = self._store.record(CELLS, spec.key)
        self._records[CELLS, spec.key] = None if record is None else self._shortened(record)
        if record is None:
            raise _NoResult("missing", self._damage(spec) or "not run yet")
        if (change := changed(record, spec.component)) is not None:
            raise _NoResult("missing", f"{change.told()}: the next run computes it anew")
        if record["status"] != "ok":
            raise _NoResult(record["status"], record["reason"])
        if fit is None:
            # The card, which is in the fit's record, is unknown.
            raise _NoResult("missing", "the record of its fit is not in the store")
        if not is_about(record.get("draws_sha256"), fit):
            raise _NoResult("missing", "its fit was computed anew since, and has other draws")
        if other_draws(record, spec.needs[1:], self._fit_known):
            raise _NoResult("missing", "what it compares with has other draws since: the next run computes it anew")
        return record

    def _fit_known(self, key: str) -> dict[str, Any] | None:
        """The main fields of the record of a fit by its key."""
        return self.known(FITS, key)

    def _loaded(self, spec: CellSpec, record: Mapping[str, Any]) -> Any:
        """The result of a cell. Raises `_NoResult` if it is damaged, or about something else than others of its fit.

        The worst case is computed for each image, so all results of a fit must have the same images.
        """
        try:
            result = codec.loaded(self._store, spec.key, record, spec.measurement, spec.context)
        except StoreError as error:
            raise _NoResult("missing", self._damage(spec) or str(error)) from None
        index = _index(result)
        if index is not None and not np.array_equal(index, self._images.setdefault(spec.fit.key, index)):
            raise _NoResult("missing", "it is about other images than other outcomes of its fit")
        if (told := self._clean.differing(spec, record["environment"], result)) is not None:
            raise _NoResult("invalid", told)
        return result

    def _damage(self, spec: CellSpec) -> str:
        """The reason of a cell whose record or arrays are damaged; empty if they are not known to be."""
        return _DAMAGED if (CELLS, spec.key) in self._store.distrusted else ""

    def _with_result(self, spec: CellSpec, record: Mapping[str, Any], result: Any, level: str | None, why: str) -> Cell:
        """A cell that is `ok`, with the figures, marks and warnings of its result; `why` is the reason of its card.

        Raises `_NoResult` if the code of a plugin cannot compute them: the other rows must be reported.
        """
        try:
            with contained():
                notes, figures = spec.measurement.notes(result), spec.measurement.row(result)
                robust, certified = getattr(result, "robust", None), getattr(result, "certified", None)
                counterexample = getattr(result, "counterexample", None)
                if not spec.about_predictive:
                    certified = counterexample = None
        except Exception as error:  # noqa: BLE001 - a plugin computes them
            raise _NoResult("invalid", f"its figures cannot be computed: {message_of(error)}") from None
        warnings = [one_line(str(warning)) for warning in record["warnings"]]
        if level == "short":
            warnings.append(f"posterior is short: {why}")
        card = self.card(spec.fit)
        if held := card.get("held_fixed"):
            warnings.append(one_line(f"posterior is for a network in this state: {held}"))
        warnings += notes.values()
        rhat = card.get("rhat") if isinstance(card.get("rhat"), int | float) else None
        kept = (robust, self._store, rhat, certified, counterexample, sample_checksum(result), *_distances(result))
        return Cell(spec, "ok", "", warnings, level, figures, notes, *kept, *times_of(record))

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


def _check_draws(result: Any) -> None:
    """Raise `_NoResult` for an outcome of too few draws for its goal, which a run of today would skip."""
    if not isinstance(result, Outcome):
        return
    try:
        for number in (result.attack_draws, result.draws):
            result.goal.check_draws(int(number))
    except Incompatible as error:
        raise _NoResult("skipped", str(error)) from None


def sample_checksum(result: Any) -> str:
    """A checksum of the positions in the test set and the labels of a result's images; empty if it has none."""
    index, label = getattr(result, "index", None), getattr(result, "label", None)
    if index is None or label is None:
        return ""
    return hashlib.sha256(np.stack([index, label]).astype("<i8").tobytes()).hexdigest()


def _distances(result: Any) -> tuple[np.ndarray | None, int]:
    """The distances (N,) of the attacked images of a result, and how many coordinates they have; None and 0 without."""
    if not isinstance(result, Outcome):
        return None, 0
    return result.distance, math.prod(result.inputs.shape[1:])


def _index(result: Any) -> np.ndarray | None:
    """The positions in the test set of the images of a result; None if it does not say them."""
    index: np.ndarray | None = result.get("index") if isinstance(result, Mapping) else getattr(result, "index", None)
    return index


def _level_and_reason(card: Any) -> tuple[str | None, str]:
    """The level and the reason of a fit's card; None and an empty text if it has no readable card."""
    if not isinstance(card, dict) or "level" not in card:
        return None, ""
    return one_line(str(card["level"])), one_line(str(card.get("why", "")))
