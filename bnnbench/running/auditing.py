"""Audit a benchmarks file: run what its checks ask for, and let them look."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bnnbench.errors import StoreError
from bnnbench.evidence.audit.audit import Audits
from bnnbench.evidence.audit.planned import audits, extended
from bnnbench.evidence.results import Results
from bnnbench.matrix.config import MAX_CELLS
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan, restricted
from bnnbench.matrix.radii import check_radii
from bnnbench.running.observer import Observer, Silent
from bnnbench.running.run import run_plan
from bnnbench.store.store import Store


def audited(
    path: Path,
    *,
    store: Path,
    jobs: int | None = None,
    only: str | Iterable[str] = (),
    run: bool = True,
    max_cells: int = MAX_CELLS,
    observer: Observer | None = None,
) -> tuple[Results, Audits]:
    """The results of a benchmarks file, and the audits of its numbers, one for each posterior, threat and seed.

    Cells that the store lacks are run first, those of the file and those that checks ask for; unless `run` is false.
    The other arguments, and what is raised, are as for `bnnbench.run`; `StoreError` too if nothing is run and there is
    no such store.
    """
    plan = restricted(make_plan(read_config(path, max_cells)), only)
    check_radii(plan.config, plan.cells)
    if not run and not store.is_dir():
        raise StoreError(f"{store}: there is no such store, so there is nothing to look at")
    opened = Store(store)
    if run:
        run_plan(extended(plan), opened, jobs=jobs, fresh=False, observer=observer or Silent())
    results = Results(plan, opened)
    return results, audits(results)


def all_seen(results: Results) -> bool:
    """Whether the results are complete, and every cell that the checks of their file ask for is `ok` or skipped."""
    further = extended(results.plan).cells[len(results.plan.cells) :]
    return results.complete and all(results.checked(spec).status in ("ok", "skipped") for spec in further)
