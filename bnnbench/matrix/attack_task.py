"""What a worker does to attack: one attack on a fit, under all the threats that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bnnbench.core import fitting, saving
from bnnbench.core.threat import Threat
from bnnbench.errors import StoreError
from bnnbench.evidence.evaluate import Defence, evaluate_each
from bnnbench.evidence.outcome import Outcome
from bnnbench.matrix import stored_outcome, work
from bnnbench.matrix.plan import CellSpec, FitSpec
from bnnbench.matrix.results import FINAL
from bnnbench.matrix.store import CELLS, DRAWS, FITS, Store
from bnnbench.matrix.work import Setting


def run_attack(cells: Sequence[CellSpec], setting: Setting) -> str:
    """Attack one fit under threats that differ in norm and epsilon alone, and write a record each; returns their
    status. Where several fail together nothing is written: one of them may have spoilt it for all."""
    record, made = work.timed(lambda: _outcomes(cells, setting), setting)
    if len(cells) > 1 and record["status"] not in FINAL:
        return str(record["status"])
    # The threats are attacked together, so their share of the time is all that can be said.
    record["seconds"] /= len(cells)
    record["cpu_seconds"] /= len(cells)
    store = work.own_store(setting)
    for number, cell in enumerate(cells):
        own: dict[str, Any] = record | {
            "kind": "attack",
            "identity": cell.identity,
            "fit": cell.fit.key,
            "seed": cell.seed,
        }
        if made is None:
            store.write(CELLS, cell.key, own)
            continue
        outcomes, draws = made
        outcome = outcomes[number]
        own |= stored_outcome.numbers(outcome) | {"draws_sha256": draws}
        if len(outcome) < cell.images:
            own["warnings"] = [f"the test set has {len(outcome)} images, not {cell.images}"]
        store.write_arrays(CELLS, cell.key, own, stored_outcome.arrays(outcome))
    return str(record["status"])


def _outcomes(cells: Sequence[CellSpec], setting: Setting) -> tuple[list[Outcome], str]:
    """What became of each cell's images, and the checksum of the draws that defended them."""
    first = cells[0]
    work.check_code(first.fit.dataset, first.fit.network, first.fit.posterior, first.attacker)
    bounds = work.load(first.fit.dataset, first.seed).bounds
    threats = [replace(cell.threat, bounds=bounds) for cell in cells]
    sides = (first.threat.stream, first.threat.attack_draws, first.images, first.draws)
    defence, draws = _defence(first.fit, sides, setting)
    return evaluate_each(first.attacker, defence, threats, keep=first.keep), draws


_defences: work.Last[tuple[Defence, str]] = work.Last()


def _defence(fit: FitSpec, sides: tuple[Any, ...], setting: Setting) -> tuple[Defence, str]:
    """The defending side of a fit and the checksum of its draws; one worker does many attacks on the same fit, so the
    last is kept."""

    def make() -> tuple[Defence, str]:
        stream, attack_draws, images, draws = sides
        store = Store(setting.store)
        record = store.record(FITS, fit.key)
        if record is None:
            raise StoreError(f"fit {fit.key} is not in the store any more: {'; '.join(store.damaged) or 'no record'}")
        work.check_data(fit.dataset, fit.seed, record)
        data = work.load(fit.dataset, fit.seed)
        network = fitting.prepared(fit.network.build(data), setting.device)
        stored, _ = saving.read_draws(store.place(FITS, fit.key) / DRAWS)
        predictive = fit.posterior.predictive(network, stored)
        threat = Threat(epsilon=0.0, stream=stream, attack_draws=attack_draws, bounds=data.bounds)
        defence = Defence(predictive, data, threat, images=images, draws=draws, seed=fit.seed)
        return defence, str(record["artefacts"][DRAWS]["sha256"])

    return _defences.of((fit.key, *sides), make)
