"""`bnnbench show`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bnnbench.cli.options import DEFAULT_STORE, StoreOption


class ShowFormat(StrEnum):
    """The formats of a record."""

    text = "text"
    json = "json"


def show(
    key: Annotated[str, typer.Argument(help="Key of a fit or cell, or its first characters.")],
    store: StoreOption = DEFAULT_STORE,
    form: Annotated[
        ShowFormat, typer.Option("--format", help="text, or one JSON object with figures and traceback in it.")
    ] = ShowFormat.text,
) -> None:
    """Print all that the store knows of a fit or cell: its figures, its record, and the traceback of a failure.

    A record holds identity, status and reason, times and environment, and the card of a fit. If the figures of a cell
    cannot be computed here, a line says why. `bnnbench report --format csv` (or `json`) lists keys in the columns `fit`
    and `cell`.
    """
    import json

    from bnnbench.cli.printing import say
    from bnnbench.errors import StoreError
    from bnnbench.evidence.stored_figures import figures_of
    from bnnbench.report.shown import record_text
    from bnnbench.store.store import Store

    opened = Store(store)
    matching = opened.find(key)
    if not matching:
        more = "a cell that is skipped because its fit failed has none: show its fit"
        if not store.exists():
            raise StoreError(f"there is no store {store}, so no record begins with '{key}'")
        raise StoreError(f"no record in {store} begins with '{key}' ({more})")
    if len(matching) > 1:
        listed = ", ".join(f"{kind}/{name[:12]}" for kind, name in matching[:5])
        raise StoreError(f"{len(matching)} records in {store} begin with '{key}': {listed}")
    ((kind, name),) = matching
    record = opened.verified_record(kind, name)
    if record is None:
        raise StoreError("; ".join(opened.damaged))
    if kind == "cells" and record["status"] == "ok":
        record["figures"], why = figures_of(opened, name, record)
        if why:
            record["no_figures"] = why
    say(json.dumps(record, indent=2, sort_keys=True) if form is ShowFormat.json else record_text(record))
