"""The draws of a fit, or of one of its parts: fitted, derived from those of another fit, or taken from the store."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bnnbench.core import dependencies
from bnnbench.core.chains import InParts
from bnnbench.core.dataset import Data, check_training
from bnnbench.core.derived import Derived
from bnnbench.core.draws import Draws
from bnnbench.core.rules import fit_run
from bnnbench.errors import ContractBreach, DamagedArtefact
from bnnbench.evidence import about_draws
from bnnbench.matrix.plan import FitSpec
from bnnbench.pool.job import Setting
from bnnbench.pool.progress import Reporter
from bnnbench.running.tasks import other_fit, same_network, stored_memory, worker
from bnnbench.store.store import CHAINS, FITS, Store

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Drawn:
    """The draws of a fit, and the data and the template network that they belong to."""

    draws: Draws
    data: Data
    template: nn.Module
    stored: list[dict[str, Any]] = field(default_factory=list)
    """The records that the draws were loaded from; empty if they are new."""
    needed: dict[str, Any] = field(default_factory=dict)
    """The checksums of the draws that new ones were made of, as fields of records."""
    earlier: tuple[float, float] = (0.0, 0.0)
    """The seconds and CPU seconds of earlier tasks, from whose state new draws went on."""


@dataclass(frozen=True)
class _Work:
    """How a fit is made."""

    fit: Callable[[], Draws]
    needed: dict[str, Any] = field(default_factory=dict)
    """The checksum of the draws that the new ones are made of, as a field of records."""
    memory: stored_memory.StoredMemory | None = None

    @property
    def earlier(self) -> tuple[float, float]:
        """The seconds and CPU seconds of earlier tasks; known once the fit is made."""
        return (0.0, 0.0) if self.memory is None else self.memory.earlier


def part_of(spec: FitSpec, part: int, setting: Setting, files: dependencies.Fields) -> Drawn:
    """The draws of one part, checked against the rules for fits. The files that are read go into `files`."""
    posterior = spec.posterior
    assert isinstance(posterior, InParts)
    data, template, _, progress = _prepared(spec, setting, spec.part_key(part), files)
    with dependencies.noted(posterior, files):
        fit = functools.partial(posterior.fit_part, template, data, seed=spec.seed, part=part, progress=progress)
        work = _remembering(fit, spec, part, setting, files)
        draws = fit_run.by_rules(posterior, template, data, work.fit)
    fit_run.check_draws(posterior, draws, posterior.draws // posterior.parts)
    return Drawn(draws, data, template, earlier=work.earlier)


def _remembering(
    fit: Callable[..., Draws], spec: FitSpec, part: int, setting: Setting, files: dependencies.Fields
) -> _Work:
    """How a part is fitted, with the memory of the store if the posterior keeps states."""
    if not (isinstance(spec.posterior, InParts) and spec.posterior.keeps_state):
        return _Work(fit)
    memory = stored_memory.StoredMemory(spec, part, setting, files)

    def remembering() -> Draws:
        draws = fit(memory=memory)
        if memory.note:
            draws.diagnostics["continued"] = memory.note
        return draws

    return _Work(remembering, memory=memory)


def drawn(spec: FitSpec, setting: Setting, files: dependencies.Fields) -> Drawn:
    """The draws of a fit: stored ones, or new ones. The files that are read go into `files`."""
    data, template, now, progress = _prepared(spec, setting, spec.key, files)
    stored, needed, earlier = _stored_parts(spec, setting, now), dict[str, Any](), (0.0, 0.0)
    if stored:
        needed = {name: value for name, value in stored[0][0].items() if name == about_draws.NEEDED}
        try:
            draws = _of_parts(spec, [draws for _, draws in stored])
        except ValueError as error:
            raise ContractBreach(f"{fit_run.name_of(spec.posterior)}: {error}") from error
    else:
        # The files of the store are none that the fit depends on.
        work = _fit(spec, template, data, setting, files, progress)
        with dependencies.noted(spec.posterior, files):
            draws = fit_run.by_rules(spec.posterior, template, data, work.fit)
        needed, earlier = work.needed, work.earlier
    fit_run.check_draws(spec.posterior, draws)
    return Drawn(draws, data, template, [record for record, _ in stored], needed, earlier)


def _of_parts(spec: FitSpec, parts: list[Draws]) -> Draws:
    """The draws of a fit, from those of its stored parts."""
    return spec.posterior.together(parts) if isinstance(spec.posterior, InParts) else parts[0]


def _fit(
    spec: FitSpec,
    template: nn.Module,
    data: Data,
    setting: Setting,
    files: dependencies.Fields,
    progress: Reporter,
) -> _Work:
    """How the fit is made: fitted, or derived from the draws of the stored fit that this one is made of.

    Raises `Incompatible` or `BnnbenchError` if there is no
    such fit, with the reason.
    """
    posterior = spec.posterior
    if isinstance(posterior, InParts) and posterior.parts == 1:
        part = functools.partial(posterior.fit_part, template, data, seed=spec.seed, part=0, progress=progress)
        work = _remembering(part, spec, 0, setting, files)
        return _Work(lambda: posterior.together([work.fit()]), memory=work.memory)
    if not isinstance(posterior, Derived):
        return _Work(lambda: posterior.fit(template, data, seed=spec.seed, progress=progress))
    (other,) = spec.needs
    draws, record = other_fit.draws_of(other, setting)
    derive = functools.partial(posterior.derive, template, data, draws, seed=spec.seed, progress=progress)
    return _Work(derive, about_draws.stated({other.key: record}))


def _stored_parts(spec: FitSpec, setting: Setting, now: dependencies.Files) -> list[tuple[dict[str, Any], Draws]]:
    """The record and the draws of each stored part of a fit; an empty list if a part is missing.

    `now` are the files that the network reads. A part of other data, or for which other contents of files were read, is
    removed. If the fit has several, `ContractBreach` is raised, and the next run fits the part again.
    """
    store = Store(setting.store)
    records = [store.record(CHAINS, key) for key in spec.part_keys]
    stored = [record for record in records if record is not None and record["status"] == "ok"]
    if len(stored) < len(records):
        return []
    if any(about_draws.other_draws(record, spec.needs, lambda key: store.record(FITS, key)) for record in stored):
        return []
    try:
        _check_parts(spec, stored, now, setting)
        return [(record, store.draws(CHAINS, record["key"], record)) for record in stored]
    except (ContractBreach, DamagedArtefact):
        if spec.parts:
            raise
        return []


def _check_parts(spec: FitSpec, records: list[dict[str, Any]], now: dependencies.Files, setting: Setting) -> None:
    """Raise `ContractBreach` if parts are of other data, or of another network, than this fit has; remove these."""
    breach = None
    for record in records:
        try:
            worker.check_data(spec.dataset, spec.seed, record)
            same_network.check_files(spec, record, now)
        except ContractBreach as error:
            worker.own_store(setting).remove(CHAINS, record["key"])
            breach = error
    if breach is not None:
        raise breach


def _prepared(
    spec: FitSpec, setting: Setting, key: str, files: dependencies.Fields
) -> tuple[Data, nn.Module, dependencies.Files, Reporter]:
    """The data, the template network on its device, the files that it reads, and the reporter of progress under a key.

    The files that data set and network depend on are noted in `files`.
    """
    worker.check_code(spec.dataset, spec.network, spec.posterior)
    progress = Reporter(setting.progress, key)
    progress(0, 0, "loading")
    data = worker.load(spec.dataset, spec.seed)
    files.update(worker.loaded_files(spec.dataset, spec.seed))
    check_training(data)
    return data, *same_network.built(spec.network, data, setting.device, files), progress
