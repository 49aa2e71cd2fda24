"""The task of cells: one measurement of a fit, under each threat whose outcome is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bnnbench.core import dependencies
from bnnbench.core.dataset import Data
from bnnbench.core.rules.own_fits import identity_text
from bnnbench.core.threat import Threat
from bnnbench.core.whole_box import refused_radius
from bnnbench.errors import ContractBreach, QueriesSpent
from bnnbench.evidence import about_draws
from bnnbench.matrix.plan import CellSpec
from bnnbench.measurements.defence import Defence
from bnnbench.pool.job import Setting
from bnnbench.running.tasks import other_fit, worker
from bnnbench.store import codec
from bnnbench.store.records import FINAL, record_of_cell
from bnnbench.store.store import CELLS, DRAWS


def run_cells(cells: Sequence[CellSpec], setting: Setting) -> str:
    """Compute cells of one measurement of one fit, write a record for each, and return their status.

    If several cells fail, or spend their queries, no record is written: one of them may have caused it for all.
    """
    spent = []
    files: dependencies.Fields = {}

    def work() -> tuple[list[Any], int, dict[str, Any]]:
        try:
            return _results(cells, setting, files)
        except QueriesSpent:
            spent.append(True)
            raise

    ending, made = worker.timed(work, setting)
    if len(cells) > 1 and (ending.status not in FINAL or spent):
        return ending.status
    # The cells are computed together, so each is given an equal share of the time.
    share = replace(ending, seconds=ending.seconds / len(cells), cpu_seconds=(ending.cpu_seconds or 0.0) / len(cells))
    store = worker.own_store(setting)
    for number, cell in enumerate(cells):
        if made is None:
            store.write(CELLS, cell.key, record_of_cell(cell, share, **files))
            continue
        results, images, draws = made
        warned = share
        if images < cell.images:
            warned = replace(share, warnings=[f"the test set has {images} images, not {cell.images}"])
        schema, result = cell.measurement.schema, results[number]
        fields = codec.numbers(schema, result) | {"images": images, **draws, **files}
        store.write_arrays(CELLS, cell.key, record_of_cell(cell, warned, **fields), codec.arrays(schema, result))
    return ending.status


def _results(
    cells: Sequence[CellSpec], setting: Setting, files: dependencies.Fields
) -> tuple[list[Any], int, dict[str, Any]]:
    """The result of each cell, the number of test images, and the checksums of draws, as fields of records.

    The files that the measured component reads go into `files`.
    """
    first = cells[0]
    worker.check_code(first.fit.dataset, first.fit.network, first.fit.posterior, first.component)
    data = worker.load(first.fit.dataset, first.seed)
    _check_radii(cells, data)
    threats = [cell.threat.with_box(data.bounds) for cell in cells if cell.threat is not None]
    defence, draws = _defence(first, setting)
    others = {}
    for other in first.needs[1:]:
        predictive, others[other.key] = other_fit.predictive_of(other, data, setting)
        defence.others[identity_text(other.posterior)] = predictive
    with dependencies.noted(first.component, files):
        results = first.measurement.run(defence, threats, first.keep)
    return results, len(defence.sample.y), {"draws_sha256": draws, **about_draws.stated(others)}


def _check_radii(cells: Sequence[CellSpec], data: Data) -> None:
    """Raise `ContractBreach` for a radius that looks like one in other units, unless its threat allows that."""
    for cell in cells:
        if cell.threat is not None and not cell.allow_whole_box:
            reason = refused_radius(cell.threat, data.bounds, data.shape)
            if reason:
                raise ContractBreach(f"{reason} (allow_whole_box: true permits it)")


_defences: worker.Last[tuple[Defence, str]] = worker.Last()
"""The defence of the last task, with the checksum of its fit's draws: a worker does many tasks on the same fit."""


def _defence(cell: CellSpec, setting: Setting) -> tuple[Defence, str]:
    """The defending side of a cell, and the checksum of the fit's draws.

    Raises `StoreError` if the fit is not in the store, and `ContractBreach` if its data or network have changed.
    """
    fit, threat = cell.fit, cell.threat or Threat(epsilon=0.0)

    def make() -> tuple[Defence, str]:
        data = worker.load(fit.dataset, fit.seed)
        predictive, record = other_fit.predictive_of(fit, data, setting)
        any_radius = replace(threat.with_box(data.bounds), epsilon=0.0)
        defence = Defence(predictive, data, any_radius, images=cell.images, draws=cell.draws, seed=fit.seed)
        return defence, str(record["artefacts"][DRAWS]["sha256"])

    return _defences.of((fit.key, threat.stream, threat.attack_draws, cell.images, cell.draws), make)
