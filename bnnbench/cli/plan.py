"""`bnnbench plan`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bnnbench.cli.options import DEFAULT_CELLS, DEFAULT_FILE, DEFAULT_STORE, File, MaxCells, Only, StoreOption

if TYPE_CHECKING:
    from bnnbench.matrix.plan import Plan
    from bnnbench.running.preflight import Finding
    from bnnbench.running.schedule import Schedule
    from bnnbench.store.store import Store


def plan(
    file: File = DEFAULT_FILE,
    store: StoreOption = DEFAULT_STORE,
    only: Only = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check the file alone: no network is built, and no device is looked for.")
    ] = False,
    max_cells: MaxCells = DEFAULT_CELLS,
) -> None:
    """Print the fits and cells of a run, and how many the store has.

    The last line estimates the time of the rest from earlier fits and cells, and the line before that of the further
    cells of `bnnbench audit`. Nothing is fitted. The networks of the
    fits that are left are built once for each data set, called and checked against the posteriors, in a process of
    their own.

    Exit codes: 0 nothing is known that would fail; 2 something would, or the file is wrong.
    """
    from bnnbench.cli.printing import say
    from bnnbench.errors import clean
    from bnnbench.matrix.config_reader import read_config
    from bnnbench.matrix.plan import make_plan, restricted
    from bnnbench.matrix.radii import check_radii
    from bnnbench.plugins.described import counted
    from bnnbench.running.schedule import Schedule
    from bnnbench.running.timing import estimate
    from bnnbench.store.store import Store

    planned = restricted(make_plan(read_config(file, max_cells)), only or ())
    check_radii(planned.config, planned.cells)
    opened = Store(store)
    schedule = Schedule(planned, opened)
    say(f"{counted(len(planned.fits), 'fit')} and {counted(len(planned.cells), 'cell')}")
    for line in _fits(planned, schedule, opened):
        say(line)
    found = [] if quick else _findings(planned, schedule, opened)
    for finding in found:
        if finding.status != "failed":
            say(f"{finding.status}: {clean(finding.text)}")
    if not quick and (further := _audit(planned, opened)):
        say(further)
    say(estimate(schedule, opened))
    for line in opened.damaged:
        say(f"damaged: {line}", sys.stderr)
    for finding in found:
        if finding.status == "failed":
            planned.config.source.problem(finding.path, finding.text)
    planned.config.source.raise_problems()


def _audit(plan: Plan, store: Store) -> str:
    """A line about the further cells that `bnnbench audit` computes; empty if there are none."""
    from bnnbench.evidence.audit.planned import extended
    from bnnbench.matrix.plan import Plan
    from bnnbench.running.schedule import Schedule
    from bnnbench.running.timing import estimate

    known = {cell.key for cell in plan.cells}
    further = [cell for cell in extended(plan).cells if cell.key not in known]
    if not further:
        return ""
    return f"for bnnbench audit: {estimate(Schedule(Plan(plan.config, further), store), store, fits=False)}"


def _fits(plan: Plan, schedule: Schedule, store: Store) -> Iterator[str]:
    """A line for each fit of a plan: its state, and how many of its parts and cells the store has."""
    from collections import defaultdict

    from bnnbench.errors import clean
    from bnnbench.plugins.described import counted
    from bnnbench.running.names import fit_name
    from bnnbench.store.store import FITS

    tasks = defaultdict(list)
    for task in schedule.tasks:
        tasks[task.fit.key].append(task)
    for key, groups in plan.tasks.items():
        remaining, cells = tasks[key], sum(map(len, groups))
        done = f"{cells - sum(len(task.cells) for task in remaining)} of {counted(cells, 'cell')} done" if cells else ""
        fit = plan.fits[key]
        fitted = fit.parts - sum(task.part is not None for task in remaining)
        if fitted and any(task.part is None and not task.cells for task in remaining):
            done = f"{fitted} of {counted(fit.parts, fit.part_noun)} and {done}"
        record = store.record(FITS, key)
        state = record["status"] if record else "to fit"
        if key in schedule.changed:
            state = f"to fit anew, since {clean(schedule.changed[key])} has changed"
        yield f"  {fit_name(fit, plan)}: {'; '.join(filter(None, [state, done]))}"


def _findings(plan: Plan, schedule: Schedule, store: Store) -> list[Finding]:
    """What the tasks that are left will meet; an absent device is a problem too."""
    from bnnbench.running.pools import local_pool, setting_of
    from bnnbench.running.preflight import Checks, Finding

    checks = Checks(plan, schedule.tasks)
    if not checks.needed:
        return []
    setting = setting_of(plan, store)
    with local_pool(plan, 1, 1) as pool:
        problem = checks.device_problem(pool, setting)
        absent = [Finding("failed", problem, ("device",))] if problem else []
        return absent + checks.findings(pool, setting)
