"""What is shown of a run while it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from matrices import ONE_FIT
from strangers import EVIL

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.pool.progress import Step
from bnnbench.running import display
from bnnbench.running.task import Task


@pytest.mark.parametrize("kind", [display._Lines, display._Bars])
def test_the_second_part_of_a_run_counts_anew(
    tmp_path: Path, kind: type[display._Lines | display._Bars], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    plan = make_plan(read_config(tmp_path / "benchmarks.yaml"))
    (key, fit), shown = next(iter(plan.fits.items())), kind()
    for part in range(2):
        shown.begin(plan, 2, 0)
        shown.step(Step(key, 1, 2, ""))
        if isinstance(shown, display._Bars):
            assert [row.description for row in shown._bars.tasks] == ["all", "sgd on moons (fc)"], part
            assert shown._bars.tasks[0].completed == 0
        shown.done(Task("one", fit), "ok", 1.0, "")
        shown.end(1.0)
        told = capsys.readouterr().err
        assert ("[1/2] one: ok" if kind is display._Lines else "one: ok") in told


@pytest.mark.parametrize("kind", [display._Lines, display._Bars])
def test_notes_and_reasons_of_running_tasks_obey_nobody(
    tmp_path: Path, kind: type[display._Lines | display._Bars], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    plan = make_plan(read_config(tmp_path / "benchmarks.yaml"))
    (key, fit), shown = next(iter(plan.fits.items())), kind()
    shown.begin(plan, 1, 0)
    if isinstance(shown, display._Lines):
        shown.EVERY = 0.0
    for task in (key, EVIL):
        shown.step(Step(task, 1, 2, EVIL[:24] + "\n"))
    if isinstance(shown, display._Bars):
        assert all(row.fields["note"].isprintable() for row in shown._bars.tasks)
    shown.done(Task("fit", fit), "failed", 1.0, EVIL)
    shown.end(1.0)
    told = capsys.readouterr().err
    assert "alert(1)" in told
    assert "\x1b[31m" not in told
    assert "\u202e" not in told


def test_a_run_from_a_program_shows_its_progress_if_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    for asked in (True, False):
        bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / f"store-{asked}", jobs=0, progress=asked)
        told = capsys.readouterr()
        assert told.out == ""
        assert ("tasks to run" in told.err) == asked
    assert not display.in_notebook()


@pytest.mark.parametrize(
    ("done", "tasks", "seconds", "told"),
    [
        (0, 10, 100.0, ""),
        (10, 10, 100.0, ""),
        (1, 10, 5.0, ""),
        (5, 10, 40.0, "less than a minute left"),
        (1, 10, 40.0, "about 6 min left"),
        (1, 100, 3600.0, "about 99 h left"),
    ],
)
def test_the_time_left_is_that_of_the_tasks_so_far(done: int, tasks: int, seconds: float, told: str) -> None:
    assert display.time_left(done, tasks, seconds) == told
