"""The tasks of a fit: fit one of its parts, or fit as a whole, from stored parts if it has several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core import dependencies, draws_file
from bnnbench.core.chains import InParts
from bnnbench.core.dataset import Data, check_training
from bnnbench.core.derived import Derived
from bnnbench.core.draws import Draws
from bnnbench.core.predictive import Predictive
from bnnbench.core.rules import fit_run
from bnnbench.core.rules.purity import global_state
from bnnbench.errors import ContractBreach, DamagedArtefact
from bnnbench.evidence import card
from bnnbench.matrix.plan import FitSpec
from bnnbench.measurements.sample import sample_of
from bnnbench.pool.job import Setting
from bnnbench.pool.progress import Reporter
from bnnbench.running.tasks import other_fit, same_network, worker
from bnnbench.store.records import Ending, record_of_fit, record_of_part
from bnnbench.store.store import CHAINS, DRAWS, FITS, Store

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class _Drawn:
    """The draws of a fit, and the data and the template network that they belong to."""

    draws: Draws
    data: Data
    template: nn.Module
    stored: list[dict[str, Any]] = field(default_factory=list)
    """The records that the draws were loaded from; empty if they are new."""


def run_part(spec: FitSpec, part: int, setting: Setting) -> str:
    """Fit one part of a fit, write its record, and return its status.

    If it fails the process of the run writes the record of the fit, because several parts may fail at once and a
    record must have one writer.
    """
    files: dependencies.Fields = {}
    ending, draws = worker.timed(lambda: _part(spec, part, setting, files), setting)
    _write_part(spec, part, setting, ending, draws, files)
    return ending.status


def run_fit(spec: FitSpec, setting: Setting) -> str:
    """Fit, or take the draws that are stored, write the record of the fit, and return its status.

    New draws are stored before anything is predicted with them: if the task is ended then, the next run takes them.
    """
    files: dependencies.Fields = {}
    ending, drawn = worker.timed(lambda: _drawn(spec, setting, files), setting)
    record: dict[str, Any] = {}
    artefacts: dict[str, Callable[..., None]] = {}
    if drawn is not None:
        if not drawn.stored:
            _write_part(spec, 0, setting, ending, drawn.draws, files)
        judging, judged = worker.timed(lambda: _judged(spec, drawn, files), setting)
        ending = _together(judging, ending, drawn.stored)
        if judged is not None:
            # Times are not written with the draws, so that equal draws have equal files.
            timeless = {name: value for name, value in drawn.draws.diagnostics.items() if name != "seconds"}
            kept = Draws(drawn.draws.arrays, shared=drawn.draws.shared, diagnostics=timeless)
            # With the files that were read, so that the draws of two networks have two checksums.
            artefacts[DRAWS] = lambda path: draws_file.write_draws(path, kept, dict(files))
            record = judged
            if judged["card"]["level"] == "degenerate":
                reason = f"the posterior is degenerate: {judged['card']['why']}"
                ending = replace(ending, status="invalid", reason=reason)
    store = worker.own_store(setting)
    store.write(FITS, spec.key, record_of_fit(spec, ending, **record, **files), artefacts)
    if ending.status == "ok":
        for key in spec.part_keys:
            store.remove(CHAINS, key)
    return ending.status


def _write_part(
    spec: FitSpec, part: int, setting: Setting, ending: Ending, draws: Draws | None, files: dependencies.Fields
) -> None:
    """Write the record of one part of a fit, or of all draws of a fit that is one task, as part 0."""
    more: dict[str, Any] = dict(files)
    artefacts: dict[str, Callable[..., None]] = {}
    if draws is not None:
        more["data"] = worker.loaded_sum(spec.dataset, spec.seed)
        artefacts[DRAWS] = lambda path: draws_file.write_draws(path, draws)
    record = record_of_part(spec, part, ending, **more)
    worker.own_store(setting).write(CHAINS, spec.part_key(part), record, artefacts)


def _together(judging: Ending, drawing: Ending, stored: list[dict[str, Any]]) -> Ending:
    """The ending of the last step of a fit, with the times of all steps and of the stored parts."""
    times = [(drawing.seconds, drawing.cpu_seconds or 0.0)]
    times += [(float(part["seconds"]), float(part["cpu_seconds"])) for part in stored]
    return replace(
        judging,
        seconds=judging.seconds + sum(seconds for seconds, _ in times),
        cpu_seconds=(judging.cpu_seconds or 0.0) + sum(used for _, used in times),
    )


def _part(spec: FitSpec, part: int, setting: Setting, files: dependencies.Fields) -> Draws:
    """The draws of one part, checked against the rules for fits. The files that are read go into `files`."""
    posterior = spec.posterior
    assert isinstance(posterior, InParts)
    data, template, _, progress = _prepared(spec, setting, spec.part_key(part), files)
    with dependencies.noted(posterior, files):
        draws = fit_run.by_rules(
            posterior,
            template,
            data,
            lambda: posterior.fit_part(template, data, seed=spec.seed, part=part, progress=progress),
        )
    fit_run.check_draws(posterior, draws, posterior.draws // posterior.parts)
    return draws


def _drawn(spec: FitSpec, setting: Setting, files: dependencies.Fields) -> _Drawn:
    """The draws of a fit: stored ones, or new ones. The files that are read go into `files`."""
    data, template, now, progress = _prepared(spec, setting, spec.key, files)
    stored = _stored_parts(spec, setting, now)
    if stored:
        try:
            draws = _of_parts(spec, [draws for _, draws in stored])
        except ValueError as error:
            raise ContractBreach(f"{fit_run.name_of(spec.posterior)}: {error}") from error
    else:
        with dependencies.noted(spec.posterior, files):
            draws = fit_run.by_rules(spec.posterior, template, data, _fit(spec, template, data, setting, progress))
    fit_run.check_draws(spec.posterior, draws)
    return _Drawn(draws, data, template, [record for record, _ in stored])


def _of_parts(spec: FitSpec, parts: list[Draws]) -> Draws:
    """The draws of a fit, from those of its stored parts."""
    return spec.posterior.together(parts) if isinstance(spec.posterior, InParts) else parts[0]


def _fit(spec: FitSpec, template: nn.Module, data: Data, setting: Setting, progress: Reporter) -> Callable[[], Draws]:
    """The function that fits, or derives the draws from those of the stored fit that this one is made of.

    Raises `Incompatible` or `BnnbenchError` if there is no such fit, with the reason.
    """
    posterior = spec.posterior
    if not isinstance(posterior, Derived):
        return lambda: posterior.fit(template, data, seed=spec.seed, progress=progress)
    (draws,) = (other_fit.draws_of(other, setting) for other in spec.needs)
    return lambda: posterior.derive(template, data, draws, seed=spec.seed, progress=progress)


def _judged(spec: FitSpec, drawn: _Drawn, files: dependencies.Fields) -> dict[str, Any]:
    """The fields of a fit's record: card, diagnostics, checksums of the data, and where stored parts were drawn.

    The files that the posterior read for stored parts, and reads now, go into `files`.
    """
    for part in drawn.stored:
        if read := dependencies.in_record(part, spec.posterior):
            field = dependencies.field_of(spec.posterior.kind)
            files[field] = {**files.get(field, {}), **read}
    with dependencies.noted(spec.posterior, files):
        predictive = spec.posterior.predictive(drawn.template, drawn.draws)
    predictive.fitted_by = spec.posterior
    _check_predictions(predictive, drawn.data)
    named = ("seconds", "cpu_seconds", "environment")
    chains = [{name: part[name] for name in named} for part in drawn.stored]
    return {
        **({"chains": chains} if chains else {}),
        "data": worker.loaded_sum(spec.dataset, spec.seed),
        "test_data": worker.loaded_test_sum(spec.dataset, spec.seed),
        "card": card.posterior_card(predictive, drawn.data),
        "diagnostics": _summary(drawn.draws.diagnostics),
        **same_network.seen_by(predictive, drawn.data),
    }


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


def _check_predictions(predictive: Predictive, data: Data) -> None:
    """Raise `ContractBreach` unless the predictions at a few test images are finite.

    Figures of the whole test set are not computed here, since they may take longer than the fit: the measure
    `predictions` gives them.
    """
    with global_state(predictive.described):
        log_probs = predictive.log_probs(sample_of(data, card.IMAGES).x)
    if not log_probs.isfinite().all():
        raise ContractBreach(f"{predictive.described} gives log-probabilities that are not finite")


def _summary(diagnostics: dict[str, Any]) -> dict[str, Any]:
    """Diagnostics for the record. Arrays of over 16 values are in the draws' file, and here their mean, min and max."""
    short = {}
    for name, value in diagnostics.items():
        array = np.asarray(value)
        if array.size > 16 and array.dtype.kind in "biuf":
            value = {"mean": float(array.mean()), "min": float(array.min()), "max": float(array.max())}
        short[name] = draws_file.as_json(value)
    return short
