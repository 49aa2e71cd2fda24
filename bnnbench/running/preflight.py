"""The checks before a run: whether the device is there, and whether each network can be built, called and fitted.

Each network is built once for each data set, in a worker process, which may import frameworks. What crashes or never
ends there harms nothing here. No answer is kept for the next time: it may depend on anything, such as a variable of the
environment.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bnnbench.matrix.plan import Plan
from bnnbench.matrix.source import KeyPath
from bnnbench.matrix.specs import FitSpec
from bnnbench.plugins.kinds import KIND
from bnnbench.pool.failures import failure
from bnnbench.pool.job import Job, Pool, Setting
from bnnbench.running.names import asking
from bnnbench.running.observer import Observer
from bnnbench.running.pools import local_pool, setting_of
from bnnbench.running.schedule import Schedule
from bnnbench.running.task import Task
from bnnbench.running.tasks.network_check import Verdict, run_checks, run_device_check, verdicts_in
from bnnbench.store.store import Store


@dataclass(frozen=True)
class Patience:
    """The time limit for the checks of one network on one data set, and the time after which none is begun."""

    one: float
    all: float


PLAN = Patience(60.0, 300.0)
"""The limits of `plan`, whose answer is what has been asked for."""
RUN = Patience(15.0, 30.0)
"""The limits of `run`, whose fits make the same checks themselves: a network that hangs must not hold up the others."""


@dataclass(frozen=True)
class Finding:
    """Something that a run will meet: `failed`, `skipped`, or `unknown` if it could not be found out.

    `text` names the component and the reason. `path` is the component's place in the benchmarks file.
    """

    status: str
    text: str
    path: KeyPath


class Checks:
    """The checks of the fits among some tasks, those of equal parts made once."""

    def __init__(self, plan: Plan, tasks: Sequence[Task], patience: Patience = PLAN) -> None:
        self._plan, self._patience = plan, patience
        fits = {task.fit.key: task.fit for task in tasks if not task.cells}
        # Seeds do not matter: they vary the training sample and the weights. Of equal parts the first fit is kept.
        self._fits = {str(_parts(fit)): fit for fit in reversed(fits.values())}
        self._device = plan.config.settings.device
        self.of_networks = bool(self._fits)
        """Whether the network of some fit has to be checked."""
        self.needed = self.of_networks or (bool(tasks) and self._asks_for_a_device)
        """Whether there is anything to check."""

    @property
    def _asks_for_a_device(self) -> bool:
        return self._device not in ("auto", "cpu")

    def device_problem(self, pool: Pool, setting: Setting) -> str | None:
        """Why no task can use the device of the file; None if it can, or if that cannot be found out."""
        if not self._asks_for_a_device:
            return None
        ((_, answer),) = _answers(pool, [((), Job(run_device_check, (), (), PLAN.one))], setting, PLAN.all)
        return f"device is {self._device}: {answer}" if isinstance(answer, str) and answer else None

    def findings(self, pool: Pool, setting: Setting) -> list[Finding]:
        """What the fits will meet, in the order of the file; nothing for those whose checks are `ok`."""
        together = defaultdict(list)
        for fit in self._fits.values():
            together[str(_parts(fit)[:2])].append(fit)
        jobs = [(specs, Job(run_checks, (tuple(specs),), (), self._patience.one)) for specs in together.values()]
        verdicts: dict[str, Verdict] = {}
        for specs, answer in _answers(pool, jobs, setting, self._patience.all):
            verdicts |= zip((spec.key for spec in specs), self._verdicts(specs, answer), strict=True)
        found = (_finding(self._plan, fit, verdicts[fit.key]) for fit in reversed(self._fits.values()))
        return list(dict.fromkeys(finding for finding in found if finding is not None))

    def _verdicts(self, specs: Sequence[FitSpec], answer: str | BaseException | None) -> list[Verdict]:
        """The verdict of each fit, from the answer of the job that has checked them."""
        if isinstance(answer, str):
            return verdicts_in(answer)
        limits = self._patience
        if answer is None:
            verdict = Verdict("unknown", "network", f"not checked: all checks may take {limits.all:g} s")
        else:
            why = failure(answer, limits.one, self._plan.config.settings.limits.memory)
            if why.status == "timeout":
                reason = f"not checked: it takes more than {limits.one:g} s to build and call"
                verdict = Verdict("unknown", "network", reason)
            else:
                verdict = Verdict("failed", "network", f"cannot be built and called: {why.reason}")
        return [verdict] * len(specs)


def check_device(plan: Plan, store: Store, jobs: int | None, *, fresh: bool) -> None:
    """Raise `ConfigError` if a run has something to do, and no task can use the device of the file.

    The arguments are those of `run`.
    """
    if plan.config.settings.device in ("auto", "cpu"):
        return
    tasks = Schedule(plan, store).tasks
    if not tasks and not fresh:
        return
    with local_pool(plan, jobs and 1, 1) as pool:
        problem = Checks(plan, tasks).device_problem(pool, setting_of(plan, store))
    if problem:
        plan.config.source.problem(("device",), problem)
        plan.config.source.raise_problems()


def tell(plan: Plan, tasks: Sequence[Task], pool: Pool, setting: Setting, observer: Observer) -> None:
    """Tell an observer what the fits among some tasks will meet. The tasks themselves are left to meet it."""
    words = {"failed": "will fail: ", "skipped": "will be skipped: "}
    checks = Checks(plan, tasks, RUN)
    if checks.of_networks:
        observer.note("building and calling each network once, before the first fit")
    for finding in checks.findings(pool, setting):
        observer.note(f"{words.get(finding.status, '')}{finding.text}")


def _parts(fit: FitSpec) -> list[Any]:
    return [fit.dataset.identity(), fit.network.identity(), fit.posterior.identity()]


def _answers(
    pool: Pool, jobs: Sequence[tuple[Any, Job]], setting: Setting, seconds: float
) -> Iterator[tuple[Any, str | BaseException | None]]:
    """The result of each job, or the exception that it failed with; None for those that there was no time for."""
    waiting, running = deque(jobs), dict[concurrent.futures.Future[str], Any]()
    began = time.monotonic()
    while waiting or running:
        while waiting and len(running) < pool.capacity:
            if time.monotonic() - began > seconds:
                yield waiting.popleft()[0], None
                continue
            subject, job = waiting.popleft()
            running[pool.submit(job, setting)] = subject
        finished, _ = concurrent.futures.wait(running, timeout=0.1, return_when=concurrent.futures.FIRST_COMPLETED)
        pool.watch()
        for future in finished:
            yield running.pop(future), future.exception() or future.result()


def _finding(plan: Plan, fit: FitSpec, verdict: Verdict) -> Finding | None:
    if verdict.status == "ok":
        return None
    cell = plan.asking[fit.key]
    kind, label = {
        "dataset": ("dataset", cell.dataset),
        "network": ("network", cell.network),
        "posterior": asking(fit, plan),
    }[verdict.stage]
    section = str(KIND[kind].section)
    where = {"dataset": "", "network": f" on {cell.dataset}"}.get(kind, f" on {cell.dataset} ({cell.network})")
    place, path = f"{section}.{label}{where}", (section, label.partition("@")[0])
    return Finding(verdict.status, f"{place}: {verdict.reason}", path)
