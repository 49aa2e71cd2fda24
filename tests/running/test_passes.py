"""A run that finds damaged draws computes again what follows from the damage, and nothing else."""

from __future__ import annotations

from pathlib import Path

import light
import pytest
from matrices import copied

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.pool.inline import InlinePool
from bnnbench.pool.job import Job, Setting
from bnnbench.running import run as running
from bnnbench.running.observer import Silent
from bnnbench.running.task import Task
from bnnbench.store.store import CELLS, CHAINS, DRAWS, FITS

pytestmark = pytest.mark.integration

NETWORKS = """
import torch

class Fine(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

class Broken(torch.nn.Linear):
    def __init__(self):
        raise RuntimeError("on purpose")
"""
ATTACKS = """
import bnnbench as bb

class Failing(bb.Attack):
    def perturb(self, victim, x, y, threat, rng):
        raise RuntimeError("on purpose")
"""
FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
datasets: {points: {use: 'light.py:Points'}}
networks: {broken: {use: 'own.py:Broken'}, fine: {use: 'own.py:Fine'}}
posteriors:
  fixed: {use: 'light.py:Fixed'}
  chains: {use: 'light.py:Chains', draws: 4, chains: 2}
attacks: {failing: {use: 'attacks.py:Failing'}, random: {use: random-sign}}
"""


class Noting(Silent):
    """Remembers the tasks of each part of a run, each with its status."""

    def __init__(self) -> None:
        self.parts: list[list[tuple[str, str]]] = []

    def begin(self, plan: object, tasks: int, cached: int) -> None:
        self.parts.append([])

    def done(self, task: Task, status: str, seconds: float, reason: str) -> None:
        self.parts[-1].append((task.name, status))


def written(folder: Path) -> Path:
    (folder / "own.py").write_text(NETWORKS)
    (folder / "attacks.py").write_text(ATTACKS)
    return light.written(folder, FILE)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("first")
    return bb.run(written(folder), store=folder / "store", jobs=0)


def test_damage_is_no_second_try_for_what_has_failed(first: Results, tmp_path: Path) -> None:
    """A task that fails or times out may have taken hours."""
    results = copied(first, tmp_path)
    fits = {(cell.network, cell.posterior): cell.fit for cell in first.plan.cells}
    damaged = fits["fine", "fixed"]
    flip_a_bit(results.store.place(FITS, damaged.key) / DRAWS)
    with results.store.held():
        for cell in first.plan.cells:
            if cell.fit == damaged and cell.label == "random":
                results.store.remove(CELLS, cell.key)
    noting = Noting()
    again = bb.run(first.plan.config.path, store=results.store.path, jobs=0, observer=noting)
    failed = ("failed", "skipped")
    before, after = noting.parts
    assert [name for name, status in before if status == "ok"] == []
    assert {name.partition(" on ")[0] for name, status in before if status in failed} == {
        *("chains", "failing", "fixed", "random"),
    }
    assert after == [
        ("fixed on points (fine)", "ok"),
        ("failing on fixed on points (fine)", "failed"),  # Its first try met the damaged draws.
        ("random on fixed on points (fine)", "ok"),
    ]
    assert [row["status"] for row in again.rows()] == [row["status"] for row in first.rows()]


class DamagingPool(InlinePool):
    """Damages a chain when it is about to be joined, once."""

    damaged: list[Path] = []

    def submit(self, job: Job, setting: Setting) -> object:  # type: ignore[override]
        for kind, key in job.needs:
            if kind == CHAINS and not self.damaged:
                self.damaged.append(Path(setting.store) / kind / key / DRAWS)
                flip_a_bit(self.damaged[0])
        return super().submit(job, setting)


def test_a_chain_that_is_damaged_before_it_is_joined_is_sampled_again_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DamagingPool, "damaged", [])
    monkeypatch.setattr(running, "local_pool", lambda *arguments: DamagingPool())
    noting = Noting()
    results = bb.run(written(tmp_path), store=tmp_path / "store", jobs=0, observer=noting)
    assert len(DamagingPool.damaged) == 1
    assert noting.parts[1] == [
        ("chains on points (fine), chain 1 of 2", "ok"),
        ("chains on points (fine)", "ok"),
        ("failing on chains on points (fine)", "failed"),
        ("random on chains on points (fine)", "ok"),
    ]
    assert len(noting.parts) == 2
    assert {row["status"] for row in results.rows() if row["network"] == "fine"} == {"ok", "failed"}


def test_the_next_run_tries_again_what_has_failed(first: Results, tmp_path: Path) -> None:
    results, noting = copied(first, tmp_path), Noting()
    bb.run(first.plan.config.path, store=results.store.path, jobs=0, only=["fixed"], observer=noting)
    assert noting.parts == [
        [
            ("fixed on points (broken)", "failed"),
            ("failing on fixed on points (broken)", "skipped"),
            ("random on fixed on points (broken)", "skipped"),
            ("failing on fixed on points (fine)", "failed"),
        ]
    ]
