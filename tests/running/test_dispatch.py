"""Tasks whose process dies; no process is started here."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

import pytest

from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.pool.failures import WorkerDied
from bnnbench.pool.job import Job, Setting
from bnnbench.running.dispatch import dispatched
from bnnbench.running.schedule import Schedule
from bnnbench.store.store import CHAINS, FITS, Store

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


class DyingPool:
    """A pool whose worker dies after each job, with the job's record written or not."""

    capacity = 1

    def __init__(self, store: Store, done: bool) -> None:
        self.store, self.done, self.tries = store, done, 0

    def submit(self, job: Job, setting: Setting) -> concurrent.futures.Future[str]:
        self.tries += 1
        spec, *rest = job.arguments
        kind, key = (CHAINS, spec.part_key(*rest)) if rest else (FITS, spec.key)
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
