"""The tasks that a store leaves of a plan."""

from __future__ import annotations

from pathlib import Path

from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.running.forgetting import forget
from bnnbench.running.schedule import Schedule
from bnnbench.store.store import CELLS, CHAINS, DRAWS, FITS, Store

DRAWN = {DRAWS: lambda path: path.write_bytes(b"draws")}
FILE = """\
epsilons: [0.05]
datasets: {moons: {use: half-moons}}
networks: {fc: }
posteriors: {hmc: {use: pyro-hmc, draws: 8, chains: 4}}
attacks: {fgsm: }
"""


def planned(folder: Path, text: str = FILE) -> tuple[Plan, Store]:
    path = folder / "benchmarks.yaml"
    path.write_text(text)
    return make_plan(read_config(path)), Store(folder / "store")


def finish(plan: Plan, store: Store) -> None:
    """Records of everything that a plan asks for."""
    for key, fit in plan.fits.items():
        store.write(FITS, key, {"status": "ok"}, {DRAWS: lambda path: path.write_bytes(b"draws")})
        for chain in range(fit.parts):
            store.write(CHAINS, fit.part_key(chain), {"status": "ok"}, DRAWN)
    for cell in plan.cells:
        store.write(CELLS, cell.key, {"status": "skipped"})


def test_fresh_forgets_what_the_plan_asks_for_and_nothing_else(tmp_path: Path) -> None:
    """So that a run without it goes on from wherever one with it was stopped."""
    plan, store = planned(tmp_path)
    other, _ = planned(tmp_path, FILE.replace("draws: 8", "draws: 4"))
    finish(plan, store)
    finish(other, store)
    assert Schedule(plan, store).size == 0
    forget(plan, store, everything=False)
    assert Schedule(plan, store).size == 0
    forget(plan, store, everything=True)
    assert Schedule(plan, store).size == 6
    assert Schedule(other, store).size == 0


def test_a_chain_that_failed_before_is_sampled_again_and_its_failure_forgotten(tmp_path: Path) -> None:
    plan, store = planned(tmp_path)
    (fit,) = plan.fits.values()
    store.write(FITS, fit.key, {"status": "failed"})
    for chain, status in enumerate(["ok", "failed", "ok", "timeout"]):
        store.write(CHAINS, fit.part_key(chain), {"status": status}, DRAWN if status == "ok" else {})
    assert [task.part for task in Schedule(plan, store).ready] == [1, 3]
    assert store.record(CHAINS, fit.part_key(3)) is not None
    forget(plan, store, everything=False)
    assert [task.part for task in Schedule(plan, store).ready] == [1, 3]
    assert list(store.keys(CHAINS)) == [fit.part_key(0), fit.part_key(2)]
