"""Which tasks are left, and what becomes of those that die; no process is started here."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

import pytest
from plugged import bnnbench, install, rows

from bnnbench.matrix.config import read_config
from bnnbench.matrix.dispatch import dispatched
from bnnbench.matrix.executors import Work
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.matrix.schedule import Schedule, forget
from bnnbench.matrix.store import CELLS, CHAINS, DRAWS, FITS, Store
from bnnbench.matrix.work import Setting
from bnnbench.matrix.workers.failures import WorkerDied

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
        for chain in range(fit.chains):
            store.write(CHAINS, fit.chain_key(chain), {"status": "ok"})
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
        store.write(CHAINS, fit.chain_key(chain), {"status": status})
    assert [task.chain for task in Schedule(plan, store).ready] == [1, 3]
    assert store.record(CHAINS, fit.chain_key(3)) is not None
    forget(plan, store, everything=False)
    assert [task.chain for task in Schedule(plan, store).ready] == [1, 3]
    assert list(store.keys(CHAINS)) == [fit.chain_key(0), fit.chain_key(2)]


class DyingPool:
    """Work is done, or is not, and then whoever did it dies."""

    capacity = 1

    def __init__(self, store: Store, done: bool) -> None:
        self.store, self.done, self.tries = store, done, 0

    def submit(self, work: Work, setting: Setting) -> concurrent.futures.Future[str]:
        self.tries += 1
        spec, *rest = work.arguments
        kind, key = (CHAINS, spec.chain_key(*rest)) if rest else (FITS, spec.key)
        if self.done:
            self.store.write(kind, key, {"status": "ok"})
        future: concurrent.futures.Future[str] = concurrent.futures.Future()
        future.set_exception(WorkerDied("SIGKILL"))
        return future

    def watch(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("posterior", ["sgd: ", "hmc: {use: pyro-hmc, draws: 8, chains: 4}"])
@pytest.mark.parametrize("done", [True, False])
def test_who_dies_with_its_work_done_has_lost_nothing(posterior: str, done: bool, tmp_path: Path) -> None:
    plan, store = planned(tmp_path, FILE.replace("hmc: {use: pyro-hmc, draws: 8, chains: 4}", posterior))
    pool, left = DyingPool(store, done), Schedule(plan, store)
    first = left.ready[0]
    left.ready = [first]
    setting = Setting(str(store.path), "cpu", 1)
    task, ended = next(dispatched(left, pool, setting, plan.config.settings.limits, lambda: None))
    assert task == first
    assert (ended.status, ended.recorded) == (("ok", True) if done else ("failed", False))
    assert pool.tries == (1 if done else 2)


def test_tasks_of_many_threats_are_planned_in_no_time(tmp_path: Path) -> None:
    """A group of n threats takes n steps: n squared of them would be minutes here."""
    epsilons = ", ".join(f"0.{number:05}" for number in range(1, 18_001))
    plan, _ = planned(tmp_path, FILE.replace("0.05", epsilons))
    (((*cells,),),) = plan.tasks.values()
    assert len(cells) == 18_000


FAILING = '''
import bnnbench as bb

class Failing(bb.NormalPrior, bb.IndependentChains):
    """No chain of it is ever sampled."""
    def fit_chain(self, network, data, *, seed, chain, progress=bb.no_progress):
        raise RuntimeError("on purpose")

@bb.hookimpl
def bnnbench_register(registry):
    registry.posterior("failing", Failing)
'''


def test_chains_that_fail_at_once_fail_their_fit_and_the_run_goes_on(tmp_path: Path) -> None:
    text = FILE.replace("{use: pyro-hmc, draws: 8, chains: 4}", "{use: failing, draws: 8, chains: 8}")
    (tmp_path / "benchmarks.yaml").write_text(text)
    seen = install(tmp_path / "site", FAILING)
    for _ in range(2):
        done = bnnbench("run", "-j", "4", folder=tmp_path, environment=seen)
        assert done.returncode == 1, done.stderr
        assert done.stderr.count("failed") >= 8
        (row,) = rows(tmp_path, seen)
        assert (row["status"], row["reason"]) == ("skipped", "its fit failed: chain 1: RuntimeError: on purpose")
    assert len(list(Store(tmp_path / "store").keys(CHAINS))) == 8
