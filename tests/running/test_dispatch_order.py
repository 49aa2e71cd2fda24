"""The order of tasks: the cells of a fit follow it, however many fits there are."""

from __future__ import annotations

import concurrent.futures
import gc
from pathlib import Path

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.measurements.outcome import Outcome
from bnnbench.pool.job import Job, Setting
from bnnbench.running.dispatch import dispatched
from bnnbench.running.schedule import Schedule
from bnnbench.store.store import Store

FILE = """\
version: 1
seeds: [0, 1, 2, 3]
epsilons: [0.05, 0.1]
datasets: {moons: {use: half-moons, train_size: 40, test_size: 20}}
networks: {fc: {hidden: [4]}}
posteriors:
  sgd: {epochs: 1}
  hmc: {use: pyro-hmc, draws: 4, chains: 2, warmup: 2, leapfrog_steps: 2, step_size: 0.003, adapt_step_size: false}
attacks: {fgsm: , pgd: {steps: 2}}
measures: {predictions: }
"""


class Succeeding:
    """A pool in which every job succeeds at once, and that remembers the jobs in their order."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.jobs: list[Job] = []

    def submit(self, job: Job, setting: Setting) -> concurrent.futures.Future[str]:
        self.jobs.append(job)
        future: concurrent.futures.Future[str] = concurrent.futures.Future()
        future.set_result("ok")
        return future

    def watch(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Succeeding:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def planned(folder: Path) -> tuple[Plan, Store]:
    path = folder / "benchmarks.yaml"
    path.write_text(FILE)
    return make_plan(read_config(path)), Store(folder / "store")


def test_the_cells_of_a_fit_run_soon_after_it(tmp_path: Path) -> None:
    plan, store = planned(tmp_path)
    pool, setting = Succeeding(1), Setting(str(store.path), "cpu", 1)
    order = [task for task, _ in dispatched(Schedule(plan, store), pool, setting, plan.config.settings.limits, int)]
    assert len(order) == len(pool.jobs) == 8 + 2 * 4 + 8 * 3
    for fit in plan.fits.values():
        places = [place for place, task in enumerate(order) if task.fit == fit]
        cells = [place for place in places if order[place].cells]
        done = next(place for place in places if order[place].part is None and not order[place].cells)
        # Nothing but its own cells runs between the end of a fit and the last of its cells.
        assert cells == [done + 1, done + 2, done + 3]


def test_with_several_workers_no_fit_waits_for_the_cells_of_all_others(tmp_path: Path) -> None:
    plan, store = planned(tmp_path)
    pool, setting = Succeeding(3), Setting(str(store.path), "cpu", 1)
    order = [task for task, _ in dispatched(Schedule(plan, store), pool, setting, plan.config.settings.limits, int)]
    first = next(place for place, task in enumerate(order) if task.cells)
    fits = [place for place, task in enumerate(order) if task.part is None and not task.cells]
    assert first < fits[3]


@pytest.mark.slow
def test_a_matrix_in_this_process_gives_what_workers_give(tmp_path: Path) -> None:
    """To the bit: threads are those of the file, wherever it runs."""
    text = FILE.replace("seeds: [0, 1, 2, 3]", "seeds: [0]").replace(", chains: 2", "")
    (tmp_path / "benchmarks.yaml").write_text(text)
    inline = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "inline", jobs=0)
    workers = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "workers", jobs=1)
    assert inline.complete
    assert inline.rows() == workers.rows()


def test_results_hold_no_arrays_of_outcomes_but_what_rows_need(tmp_path: Path) -> None:
    text = FILE.replace("seeds: [0, 1, 2, 3]", "seeds: [0]").replace(", chains: 2", "")
    (tmp_path / "benchmarks.yaml").write_text(text)
    # Other tests of this process may hold outcomes.
    before = [thing for thing in gc.get_objects() if type(thing) is Outcome]
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    assert all(cell.ok for cell in results.cells)
    gc.collect()
    known = set(map(id, before))
    assert not [thing for thing in gc.get_objects() if type(thing) is Outcome and id(thing) not in known]
    attacked = next(cell for cell in results.cells if cell.spec.kind == "attack")
    assert np.array_equal(attacked.outcome.robust, attacked.robust)
    assert attacked.outcome.threat.epsilon == attacked.spec.threat.epsilon
    assert (attacked.outcome.dataset, attacked.outcome.posterior, attacked.outcome.attack) == ("moons", "sgd", "fgsm")
