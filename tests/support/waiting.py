"""Wait for other processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def within(seconds: float, test: Callable[[], object]) -> bool:
    """Whether something becomes true in so many seconds."""
    until = time.monotonic() + seconds
    while not test():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def text_of(file: Path) -> str:
    """What another process has written into a file so far: it is there before it is filled."""
    return file.read_text() if file.exists() else ""


def is_gone(number: int) -> bool:
    """Whether a process has ended. It may be a zombie whose parent has not asked for its exit code."""
    try:
        return bool(psutil.Process(number).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
