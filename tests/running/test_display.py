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
from bnnbench.running.durations import duration
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
    ("ended", "tasks", "told"),
    [
        ([0.0], 10, ""),
        ([0.0, 100.0], 1, ""),
        ([0.0, 5.0], 10, ""),
        ([0.0, *range(31, 41)], 12, ""),
        ([0.0, 40.0], 10, "about 6 min left"),
        ([0.0, 40.0], 3, "about 80 s left"),
        ([0.0, 3600.0], 100, "about 99 h left"),
        # Twenty quick ones, then five that take ten times as long.
        ([*range(0, 41, 2), 60.0, 80.0, 100.0, 120.0, 140.0], 35, "about 3 min left"),
    ],
)
def test_the_time_left_follows_the_last_tasks_if_they_take_longer(ended: list[float], tasks: int, told: str) -> None:
    assert display.time_left(ended, tasks) == told


def test_durations_are_in_the_unit_that_a_person_would_use() -> None:
    for seconds, told in ((0.04, "0.0 s"), (119.9, "119.9 s"), (120, "2 min"), (7140, "119 min")):
        assert duration(seconds, 1) == told
    for seconds, told in ((59.6, "60 s"), (7200, "2 h 0 min"), (11999, "3 h 20 min"), (183600, "51 h")):
        assert duration(seconds) == told
