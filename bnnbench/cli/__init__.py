"""The command line: one small file a command, each importing what it needs when it runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exit 0, 1 (something failed), 2 (bad input), 130 (Ctrl-C) or 143 (terminated)."""
    from bnnbench.cli.stopping import end_when_asked, listen_no_more

    end_when_asked()
    from bnnbench.cli.app import run_app

    code = run_app()
    listen_no_more()
    sys.exit(code)
