"""`bnnbench replay`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bnnbench.cli.options import Jobs


def replay(
    manifest: Annotated[Path, typer.Argument(help="The manifest of the run: STORE/runs/TIME.json.")],
    store: Annotated[
        Path | None, typer.Option("--store", help="Store of the repetition; by default a temporary one.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", help="Folder where the benchmarks file's relative paths start; by default as in the run."
        ),
    ] = None,
    jobs: Jobs = None,
) -> int:
    """Repeat a finished run in a new store and print what differs.

    Exit codes: 0 all results have the same bits; 1 something differs; 2 wrong input; 130 interrupted; 143 terminated.
    With `--store` the same command continues a repetition that was stopped.
    """
    import tempfile

    from bnnbench.cli.printing import say
    from bnnbench.cli.stopping import Stopped, stoppable
    from bnnbench.errors import clean
    from bnnbench.running.display import observer
    from bnnbench.running.replay import planned
    from bnnbench.running.replay import replay as replay_run
    from bnnbench.store.store import Store

    before, plan = planned(manifest, folder)
    try:
        with stoppable(), tempfile.TemporaryDirectory(prefix="bnnbench-") as scratch:
            comparison = replay_run(before, plan, Store(store or Path(scratch) / "store"), jobs, observer())
    except Stopped as stopped:
        kept = f": what was finished is kept in {store}; the same command continues from there" if store else ""
        say(f"stopped ({stopped}){kept}", sys.stderr)
        return stopped.code
    for line in comparison.changes:
        say(f"changed: {clean(line)}")
    for line in comparison.differences:
        say(f"differs: {clean(line)}")
    others = f", {comparison.without_arrays} have the same status and no arrays" if comparison.without_arrays else ""
    say(f"{comparison.same} fits and cells have the same bits, {len(comparison.differences)} differ{others}")
    return 1 if comparison.differences else 0
