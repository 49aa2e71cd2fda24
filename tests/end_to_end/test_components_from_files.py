"""Runs of benchmarks files whose components are classes of a file."""

from __future__ import annotations

from pathlib import Path

import light
import pytest

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.running import replay
from bnnbench.running.observer import Silent

MINE = """
import torch

import bnnbench as bb
from bnnbench.authoring import Maximising
from steps_of_a_test import length


class Step(Maximising):
    factor: float = 1.0

    def perturb(self, victim, x, y, threat, rng):
        from late_in_a_test import step

        return step(threat, x, self.factor * length, victim.direction(x, y, self.objective))


class Loss(bb.Objective):
    def value(self, log_probs, y):
        return -log_probs.logsumexp(0).gather(1, y[:, None])[:, 0]

    def ascent(self, log_probs, y):
        return self.value(log_probs, y)


class Net(bb.Network):
    width: int = 4

    def build(self, data):
        return torch.nn.Sequential(torch.nn.Linear(2, self.width), torch.nn.Tanh(), torch.nn.Linear(self.width, 2))
"""
LATE = """
def step(threat, x, length, direction):
    return threat.project(x, x + length * threat.epsilon * threat.steepest(direction))
"""
CONFIG = """\
epsilons: [0.05, 0.1]
evaluate: {images: 30}
datasets: {points: {use: 'light.py:Points'}}
networks: {net: {use: 'mine.py:Net', sweep: {width: [3, 6]}}}
posteriors: {fixed: {use: 'light.py:Fixed'}}
attacks:
  fgsm: {}
  step: {use: 'mine.py:Step'}
  own: {use: 'mine.py:Step', objective: 'mine.py:Loss'}
measures: {predictions: {}}
"""


class Counting(Silent):
    """Counts the tasks of a run."""

    def __init__(self) -> None:
        self.tasks = 0

    def begin(self, plan: object, tasks: int, cached: int) -> None:
        self.tasks += tasks


def written(folder: Path) -> Path:
    """A benchmarks file with the files that it needs beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(MINE)
    (folder / "steps_of_a_test.py").write_text("length = 1.0\n")
    (folder / "late_in_a_test.py").write_text(LATE)
    return light.written(folder, CONFIG)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    """The folder of a run in this process, and its rows."""
    folder = tmp_path_factory.mktemp("files")
    results = bb.run(written(folder / "one"), store=folder / "store", jobs=0)
    return folder, list(results.rows())


def test_a_class_of_a_file_comes_out_as_the_registered_one(ran: tuple[Path, list[dict[str, object]]]) -> None:
    _, rows = ran
    assert {row["status"] for row in rows} == {"ok"}
    attacked = {(row["attack"], row["network"], row["epsilon"]): row for row in rows if row["kind"] == "attack"}
    assert len(attacked) == 3 * 2 * 2
    names = ("clean_accuracy", "attacked_accuracy", "robust_accuracy", "softmax_robustness", "mean_passes")
    for (attack, network, epsilon), row in attacked.items():
        twin = attacked["fgsm", network, epsilon]
        if attack == "step":
            assert [row[name] for name in names] == [twin[name] for name in names]
            assert row["cell"] != twin["cell"]


def test_nothing_is_computed_again_until_a_file_changes(ran: tuple[Path, list[dict[str, object]]]) -> None:
    folder, rows = ran
    moved = written(folder / "moved")
    counting = Counting()
    again = bb.run(moved, store=folder / "store", jobs=0, observer=counting)
    assert counting.tasks == 0
    assert [row["cell"] for row in again.rows()] == [row["cell"] for row in rows]
    (folder / "moved" / "late_in_a_test.py").write_text(f"{LATE}# edited\n")
    keys = [cell.key for cell in make_plan(read_config(moved)).cells]
    assert not set(keys) & {row["cell"] for row in rows}


def test_a_manifest_plans_the_same_run_where_the_files_lie_now(ran: tuple[Path, list[dict[str, object]]]) -> None:
    folder, rows = ran
    (manifest, *_) = sorted((folder / "store" / "runs").iterdir())
    elsewhere = written(folder / "elsewhere").parent
    _, plan = replay.planned(manifest, elsewhere)
    assert [cell.key for cell in plan.cells] == [row["cell"] for row in rows]


def test_a_process_of_its_own_gives_what_this_one_gives(
    ran: tuple[Path, list[dict[str, object]]], tmp_path: Path
) -> None:
    _, rows = ran
    there = bb.run(written(tmp_path), store=tmp_path / "store", jobs=1)
    assert list(there.rows()) == rows


class Editing(Silent):
    """Edits or removes a file when the tasks begin, after the plan was made."""

    def __init__(self, path: Path, text: str | None) -> None:
        self.path, self.text = path, text

    def begin(self, plan: object, tasks: int, cached: int) -> None:
        if self.text is None:
            self.path.unlink()
        else:
            self.path.write_text(self.text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [(f"{MINE}# edited\n", "mine.py:Net is not what the run was planned with"), (None, "mine.py: no such file")],
)
def test_a_file_that_is_edited_or_lost_after_planning_fails_its_tasks(
    text: str | None, reason: str, tmp_path: Path
) -> None:
    path = written(tmp_path)
    results = bb.run(path, store=tmp_path / "store", jobs=0, observer=Editing(tmp_path / "mine.py", text))
    told = [str(row["reason"]) for row in results.rows()]
    assert all(reason in one and "\n" not in one for one in told)
    assert {row["status"] for row in results.rows()} == {"skipped"}
