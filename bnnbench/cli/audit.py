"""`bnnbench audit`."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_FILE, DEFAULT_STORE, File, Jobs, MaxCells, Only, StoreOption


class Format(StrEnum):
    """The formats of an audit."""

    table = "table"
    json = "json"
    markdown = "markdown"


def audit(
    file: File = DEFAULT_FILE,
    store: StoreOption = DEFAULT_STORE,
    only: Only = None,
    look: Annotated[
        bool, typer.Option("--look", help="Run nothing: look at what the store has, and say what could not be seen.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="Format of the audit.")] = Format.table,
    jobs: Jobs = None,
    max_cells: MaxCells = DEFAULT_CELLS,
) -> int:
    """Say of each robust accuracy of a benchmarks file whether it is evidence, or the attack was weak.

    The cells of the file are run, and those that the checks ask for. `bnnbench plan` tells how many these are.

    Exit codes: 0 all numbers were looked at; 1 some cells, of the file or of a check, failed or (--look) are missing;
    2 wrong input, or (--look) no store; 130 interrupted; 143 terminated.
    """
    from bnnbench.cli.printing import print_grids, say
    from bnnbench.cli.stopping import Stopped, stoppable
    from bnnbench.report.audits import as_json, as_markdown, audit_grids
    from bnnbench.running.auditing import all_seen, audited
    from bnnbench.running.display import observer

    try:
        with stoppable():
            results, audits = audited(
                file,
                store=store,
                jobs=jobs,
                only=only or (),
                run=not look,
                max_cells=max_cells,
                observer=observer(),
            )
    except Stopped as stopped:
        say(f"stopped ({stopped}): what was finished is kept in {store}; the same command continues", sys.stderr)
        return stopped.code
    for line in results.store.damaged:
        say(f"damaged: {line}", sys.stderr)
    if form is Format.table:
        print_grids(audit_grids(audits))
    else:
        say((as_json if form is Format.json else as_markdown)(audits).removesuffix("\n"))
    return 0 if all_seen(results) else 1
