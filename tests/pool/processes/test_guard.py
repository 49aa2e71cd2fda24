"""The guard of a run ends the processes that bear the run's mark, and leaves nothing of its own."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import IO

import psutil
import pytest
from waiting import within

from bnnbench.pool.processes import guard
from bnnbench.pool.processes.guard import MARK, Guard, end_marked, marked

pytestmark = pytest.mark.integration


def started(mark: str) -> subprocess.Popen[bytes]:
    """A process with a mark that would live for ten minutes."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    return subprocess.Popen(command, env={**os.environ, MARK: mark}, start_new_session=True)


@pytest.fixture
def run() -> str:
    """The name of a run that no other test has, which may be going on at the same time."""
    return uuid.uuid4().hex


def family() -> set[int]:
    """The ids of the children of this process."""
    return {process.pid for process in psutil.Process().children()}


def test_closing_the_guard_ends_the_processes_of_its_run_alone(run: str) -> None:
    own, other = started(f"{run}.0.1"), started(f"{run[1:]}.0.1")
    try:
        Guard(run).close()
        assert own.wait(10) == -9
        assert other.poll() is None
    finally:
        for process in (own, other):
            process.kill()
            process.wait()


def test_the_guard_outlives_its_runner_until_the_processes_of_the_run_have_ended(run: str, tmp_path: Path) -> None:
    """It keeps the lock that it was given: the next run must not begin before."""
    code = (
        "import os, signal, sys; from bnnbench.pool.processes.guard import Guard\n"
        "Guard(sys.argv[1], int(sys.argv[2])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    own = started(f"{run}.0.1")
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        command = [sys.executable, "-c", code, run, str(file.fileno())]
        assert subprocess.run(command, pass_fds=[file.fileno()], check=False).returncode == -9
    assert own.wait(10) == -9
    with (tmp_path / "lock").open("w") as file:
        assert within(10, lambda: is_free(file))


def is_free(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def test_a_guard_that_was_killed_is_replaced_and_its_pipes_are_closed(run: str) -> None:
    this, before = psutil.Process(), family()
    first = Guard(run)
    descriptors = this.num_fds()
    assert first.renewed() is first
    current = first
    for _ in range(3):
        (number,) = family() - before
        psutil.Process(number).kill()
        assert within(10, lambda number=number: not psutil.pid_exists(number) or is_zombie(number))
        current = current.renewed()
        assert this.num_fds() == descriptors
    assert current is not first
    current.close()
    assert family() == before


def is_zombie(number: int) -> bool:
    return psutil.Process(number).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("program", ["raise SystemExit", "import time; time.sleep(600)"])
def test_a_guard_that_cannot_start_leaves_nothing(
    run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """Neither a process nor a pipe, whether it fails or Ctrl-C arrives while it starts."""
    script, this, before = tmp_path / "guard.py", psutil.Process(), family()
    script.write_text(program)
    monkeypatch.setattr(guard, "__file__", str(script))
    if "sleep" in program:
        interrupting(monkeypatch)
    descriptors = this.num_fds()
    with pytest.raises((ChildProcessError, KeyboardInterrupt)):
        Guard(run)
    assert family() == before
    assert this.num_fds() == descriptors


def interrupting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Ctrl-C arrive at the first byte that is read from a process."""

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            self.stdout = Interrupting(self.stdout)  # type: ignore[assignment]

    monkeypatch.setattr(subprocess, "Popen", Interrupted)


class Interrupting:
    def __init__(self, pipe: object) -> None:
        self._pipe = pipe

    def read(self, size: int) -> bytes:
        raise KeyboardInterrupt

    def close(self) -> None:
        self._pipe.close()  # type: ignore[attr-defined]


def marks(*numbers: int) -> list[str | None]:
    found = {process.pid: mark for process, mark in marked()}
    return [found.get(number) for number in numbers]


def test_a_process_whose_environment_cannot_be_read_for_a_moment_is_ended(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel shows an empty environment while a process replaces its program."""
    own = started(f"{run}.0.1")
    looks = iter([False])

    def late() -> list[tuple[psutil.Process, str]]:
        return list(marked()) if next(looks, True) else []

    assert within(10, lambda: marks(own.pid) == [f"{run}.0.1"])
    monkeypatch.setattr(guard, "marked", late)
    try:
        end_marked(f"{run}.0.1".__eq__)
        assert own.wait(10) == -9
    finally:
        own.kill()
        own.wait()


def test_marks_are_found_and_their_processes_ended(run: str) -> None:
    one, two = started(f"{run}.0.1"), started(f"{run}.1.1")
    try:
        # A process that has just started may have no environment yet.
        assert within(10, lambda: marks(one.pid, two.pid) == [f"{run}.0.1", f"{run}.1.1"])
        end_marked(f"{run}.1.1".__eq__)
        assert two.wait(10) == -9
        assert one.poll() is None
    finally:
        for process in (one, two):
            process.kill()
            process.wait()
