"""`bnnbench show`."""

from __future__ import annotations

from typing import Annotated

import typer

from bnnbench.cli.options import DEFAULT_STORE, StoreOption


def show(
    key: Annotated[str, typer.Argument(help="Key of a fit or cell, or its first characters.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Print the record of a fit or cell, with the figures of a cell.

    A record holds identity, status and reason, times and environment, the card of a fit, and the traceback of a
    failure. `bnnbench report --format csv` (or `json`) lists keys in the columns `fit` and `cell`.
    """
    import json

    from bnnbench.cli.printing import clean_lines
    from bnnbench.errors import StoreError
    from bnnbench.evidence.stored_figures import figures_of
    from bnnbench.store.store import Store

    opened = Store(store)
    matching = opened.find(key)
    if not matching:
        more = "a cell that is skipped because its fit failed has none: show its fit"
        raise StoreError(f"no record in {store} begins with '{key}' ({more})")
    if len(matching) > 1:
        listed = ", ".join(f"{kind}/{name[:12]}" for kind, name in matching[:5])
        raise StoreError(f"{len(matching)} records in {store} begin with '{key}': {listed}")
    ((kind, name),) = matching
    record = opened.verified_record(kind, name)
    if record is None:
        raise StoreError("; ".join(opened.damaged))
    if kind == "cells" and record["status"] == "ok":
        record["figures"] = figures_of(opened, name, record)
    trace = record.pop("traceback", None)
    print(json.dumps(record, indent=2, sort_keys=True))
    if trace:
        print(clean_lines(str(trace)))
