"""The command line, called in this process: as `python -m bnnbench`, without the seconds that a process takes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from bnnbench.cli.app import run_app


class Done(NamedTuple):
    """The exit code of a command, and the texts that it has printed."""

    returncode: int
    stdout: str
    stderr: str


def called(*words: str, folder: Path, columns: int = 80) -> Done:
    """What a command prints in a folder, on a terminal of so many columns."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        mock.patch.object(sys, "argv", ["bnnbench", *words]),
        mock.patch.dict(os.environ, {"COLUMNS": str(columns)}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run_app()
    return Done(code, out.getvalue(), err.getvalue())
