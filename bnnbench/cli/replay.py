"""`bnnbench replay`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def replay(
    manifest: Annotated[Path, typer.Argument(help="A manifest: STORE/runs/TIME.json.")],
    store: Annotated[
        Path | None, typer.Option("--store", help="Keep the repetition here; by default it is not kept.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where the files lie that the benchmarks file names; by default where they lay."),
    ] = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="Worker processes; fills the cores.")] = None,
) -> int:
    """Do a finished run again, all of it, in a store of its own, and say what differs.

    Exit code: 0 all the same bits, 1 something differs, 2 bad input.
    """
    import tempfile

    from bnnbench.cli.display import observer
    from bnnbench.cli.printing import say
    from bnnbench.cli.stopping import Stopped, stoppable
    from bnnbench.errors import clean
    from bnnbench.matrix.replay import planned
    from bnnbench.matrix.replay import replay as replay_run
    from bnnbench.matrix.store import Store

    told, plan = planned(manifest, folder)
    try:
        with stoppable(), tempfile.TemporaryDirectory(prefix="bnnbench-") as scratch:
            found = replay_run(told, plan, Store(store or Path(scratch) / "store"), jobs, observer())
    except Stopped as stopped:
        print(f"stopped ({stopped})", file=sys.stderr)
        return stopped.code
    for line in found.changes:
        say(f"changed: {clean(line)}", sys.stdout)
    for line in found.differences:
        say(f"differs: {clean(line)}", sys.stdout)
    others = f", {found.without_arrays} have the same status and no arrays" if found.without_arrays else ""
    print(f"{found.same} fits and cells have the same bits, {len(found.differences)} differ{others}")
    return 1 if found.differences else 0
