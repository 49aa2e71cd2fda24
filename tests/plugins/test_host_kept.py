"""What the import of a plugin changes of the process is undone."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from one_plugin import GOOD, Install

from bnnbench.plugins.host_kept import host_kept
from bnnbench.plugins.loading import load_registry

CHANGES = """\
import os, signal, sys
os.chdir("/")
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdin = sys.stdout = sys.stderr = None
"""


def state() -> tuple[object, ...]:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return os.getcwd(), handlers, sys.stdin, sys.stdout, sys.stderr


def test_a_plugin_changes_neither_folder_nor_streams_nor_how_a_run_is_stopped(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = state()
    for source in (CHANGES + GOOD, CHANGES + "raise ValueError\n"):
        load_registry(install("bnnbench-noise", "noise_plugin", source))
        assert state() == before
    later = GOOD.replace('"uniform", Uniform', '"uniform", "later_module:Uniform"')
    (tmp_path / "later_module.py").write_text(CHANGES + GOOD)
    registry = load_registry(install("bnnbench-noise", "noise_plugin", later))
    registry.find("attack", "uniform").load()
    assert "later_module" in sys.modules
    assert state() == before


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def gone() -> str:
        raise FileNotFoundError

    with monkeypatch.context() as patched:
        patched.setattr(os, "getcwd", gone)
        with host_kept():
            pass
    with host_kept():
        os.chdir("/")
    assert Path.cwd() == tmp_path
