"""The command line. Each command has a file, and imports what it needs when it runs, so that `--help` is fast."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit: 0 success, 1 failures, 2 wrong input, 130 Ctrl-C, 143 terminated."""
    from bnnbench.cli.stopping import exit_on_signals, ignore_signals

    exit_on_signals()
    from bnnbench.cli.output import leave_standard_streams, take_standard_streams

    take_standard_streams()
    from bnnbench.cli.app import run_app

    code = run_app()
    ignore_signals()
    leave_standard_streams()
    sys.exit(code)
