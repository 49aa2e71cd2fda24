"""Ctrl-C in a run without workers ends the run, and is no failure of the task that it met."""

from __future__ import annotations

from pathlib import Path

import pytest

import bnnbench as bb
from bnnbench.pool.job import Setting
from bnnbench.running.tasks import worker

FILE = """\
epsilons: [0.05]
datasets: {moons: {use: half-moons, train_size: 20, test_size: 10}}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 1}}
attacks: {stopped: {use: stopped.py:Stopped}}
"""
STOPPED = """\
import bnnbench as bb

class Stopped(bb.Attack):
    def perturb(self, victim, x, y, threat, rng):
        raise KeyboardInterrupt
"""


def test_an_interrupt_ends_the_run_and_the_next_one_continues(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    (tmp_path / "stopped.py").write_text(STOPPED)
    with pytest.raises(KeyboardInterrupt):
        bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    (tmp_path / "stopped.py").write_text(STOPPED.replace("raise KeyboardInterrupt", "return x"))
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    assert results.complete
    assert results.known("fits", results.cells[0].spec.fit.key) is not None


@pytest.mark.parametrize("error", [ValueError("on purpose"), SystemExit(3)])
def test_everything_else_that_a_plugin_raises_is_its_failure(error: BaseException) -> None:
    def work() -> None:
        raise error

    ending, result = worker.timed(work, Setting("store", "cpu", 1))
    assert (ending.status, result) == ("failed", None)
    assert type(error).__name__ in ending.reason
