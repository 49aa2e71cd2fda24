"""What workers have started: it is found, its memory is counted, and it is ended with its worker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from waiting import is_gone, text_of, within

from bnnbench.pool.processes import descendants
from bnnbench.pool.processes.descendants import LONGEST_PAUSE, SHARE, Descendants, pause_after

WORKER = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; held = bytearray(%d); time.sleep(600)"], env={})
pathlib.Path("child").write_text(str(child.pid))
time.sleep(600)
"""


@contextmanager
def worker(folder: Path, held: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process, and the id of its child, which holds so many bytes and has no mark."""
    process = subprocess.Popen([sys.executable, "-c", WORKER % held], cwd=folder, start_new_session=True)
    try:
        assert within(30, lambda: text_of(folder / "child"))
        yield process, int(text_of(folder / "child"))
    finally:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()
        process.wait()


@pytest.mark.integration
def test_the_children_of_a_worker_end_when_it_is_no_more(tmp_path: Path) -> None:
    watched = Descendants(2**40)
    with worker(tmp_path) as (process, child):
        assert watched.look([process.pid]) == []
        assert not is_gone(child)
        watched._next_look = 0.0
        assert watched.look([]) == []
        assert within(10, lambda: is_gone(child))
        assert process.poll() is None


@pytest.mark.integration
def test_the_memory_of_children_is_that_of_their_worker(tmp_path: Path) -> None:
    held = 300 * 2**20
    with worker(tmp_path, held) as (process, child):
        assert within(30, lambda: psutil.Process(child).memory_info().rss > held)
        assert Descendants(held).look([process.pid]) == [process.pid]
        assert Descendants(2 * held).look([process.pid]) == []
        Descendants(held).end([process.pid])
        assert within(10, lambda: is_gone(child))


def test_a_second_look_is_not_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now, looks = [100.0], []
    monkeypatch.setattr(descendants.time, "monotonic", lambda: now[0])

    def look(workers: object) -> dict[int, int]:
        looks.append(now[0])
        now[0] += 3.0
        return {7: 2}

    watched = Descendants(1)
    monkeypatch.setattr(watched, "_resident", look)
    assert watched.look([7]) == [7]
    assert watched.look([7]) == []
    now[0] += LONGEST_PAUSE
    assert watched.look([7]) == [7]
    assert looks == [100.0, 103.0 + LONGEST_PAUSE]


def test_looking_takes_its_share_of_the_time_as_long_as_pauses_are_short() -> None:
    for seconds in (1e-4, 1e-2, 0.05):
        assert seconds / (seconds + pause_after(seconds)) == pytest.approx(SHARE)
    assert pause_after(0.1) == pause_after(100.0) == LONGEST_PAUSE
