"""`bnnbench show`."""

from __future__ import annotations

from typing import Annotated

import typer

from bnnbench.cli.options import DEFAULT_STORE, StoreOption


def show(
    key: Annotated[str, typer.Argument(help="The key of a fit or cell, or enough of its beginning.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Print one record whole: a cell's figures, identity, status, card, timings, environment, a failure's traceback.

    The keys stand in `bnnbench report --format csv` and `json`, as `fit` and `cell`.
    """
    import json

    from bnnbench.cli.printing import clean_lines
    from bnnbench.errors import StoreError
    from bnnbench.matrix import stored_outcome
    from bnnbench.matrix.results import figures
    from bnnbench.matrix.store import Store

    kept = Store(store)
    found = kept.find(key)
    if not found:
        more = "a cell that is skipped because its fit failed has none: show its fit"
        raise StoreError(f"no record in {store} begins with '{key}' ({more})")
    if len(found) != 1:
        listed = ", ".join(f"{kind}/{name[:12]}" for kind, name in found[:5])
        raise StoreError(f"{len(found)} records in {store} begin with '{key}'" + (f": {listed}" if listed else ""))
    record = kept.record(*found[0])
    if record is None:
        raise StoreError("; ".join(kept.damaged))
    kind, name = found[0]
    if kind == "cells" and record["status"] == "ok":
        record["figures"] = figures(stored_outcome.loaded(kept, name, record))
    trace = record.pop("traceback", None)
    print(json.dumps(record, indent=2, sort_keys=True))
    if trace:
        print(clean_lines(str(trace)))
