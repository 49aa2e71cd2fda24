"""Estimates from earlier timings."""

from __future__ import annotations

from pathlib import Path

from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import FitSpec, Plan, make_plan
from bnnbench.running.schedule import Schedule
from bnnbench.running.timing import estimate
from bnnbench.store.store import CELLS, CHAINS, DRAWS, FITS, Store

DRAWN = {DRAWS: lambda path: path.write_bytes(b"draws")}
FILE = """\
seeds: [0, 1, 2]
epsilons: [0.05]
datasets: {moons: {use: half-moons}}
networks: {fc: }
posteriors: {hmc: {use: pyro-hmc, draws: 8, chains: 4}}
attacks: {fgsm: }
"""


def planned(folder: Path) -> tuple[Plan, Store]:
    path = folder / "benchmarks.yaml"
    path.write_text(FILE)
    return make_plan(read_config(path)), Store(folder / "store")


def told(plan: Plan, store: Store) -> str:
    return estimate(Schedule(plan, store), store)


def fit_ends(store: Store, fit: FitSpec, status: str, seconds: float) -> None:
    draws = {DRAWS: lambda path: path.write_bytes(b"draws")} if status == "ok" else {}
    store.write(FITS, fit.key, {"identity": fit.identity, "status": status, "seconds": seconds}, draws)


def test_what_is_left_takes_as_long_as_its_like_took(tmp_path: Path) -> None:
    plan, store = planned(tmp_path)
    assert told(plan, store) == "3 fits and 3 cells are left: no earlier timings to estimate from"

    first, second, third = plan.fits.values()
    fit_ends(store, first, "ok", 100.0)
    assert told(plan, store) == (
        "2 fits and 3 cells are left: about 3 min of work for all workers together, "
        "plus the time of fgsm (not timed yet) and their start-up time"
    )
    # Three of its four chains are there, and only one must be sampled.
    for chain, status in enumerate(["ok", "ok", "failed", "ok"]):
        record = {"identity": second.identity, "status": status}
        store.write(CHAINS, second.part_key(chain), record, DRAWN if status == "ok" else {})
    for cell, seconds in zip(plan.cells[:2], (3.0, 5.0), strict=True):
        store.write(CELLS, cell.key, {"identity": cell.identity, "status": "skipped", "seconds": seconds})
    other = plan.cells[0].identity
    for key, seconds in (("ab" * 32, 3.0), ("cd" * 32, 5.0)):
        store.write(CELLS, key, {"identity": other, "status": "ok", "seconds": seconds})
    left = "2 fits and 1 cell are left: about 2 min of work for all workers together, plus their start-up time"
    assert told(plan, store) == left
    # What failed is tried again, however long it took to fail.
    fit_ends(store, third, "failed", 7.0)
    assert told(plan, store) == left
    fit_ends(store, second, "skipped", 1.0)
    assert told(plan, store).startswith("1 fit and 1 cell are left: about 104 s")
    # Its attack has nothing to attack.
    fit_ends(store, third, "skipped", 1.0)
    assert told(plan, store) == "nothing is left to do"


def test_a_fit_that_is_said_to_have_ended_well_and_has_no_draws_is_left(tmp_path: Path) -> None:
    plan, store = planned(tmp_path)
    for fit in plan.fits.values():
        store.write(FITS, fit.key, {"status": "ok"})
    assert Schedule(plan, store).size == 3 * (4 + 1 + 1)
