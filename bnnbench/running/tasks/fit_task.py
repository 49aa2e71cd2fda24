"""The tasks of a fit: fit one of its parts, or fit as a whole, from stored parts if it has several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bnnbench.core import dependencies, draws_file
from bnnbench.core.dataset import Data
from bnnbench.core.draws import Draws
from bnnbench.core.predictive import Predictive
from bnnbench.core.rules.purity import global_state
from bnnbench.errors import ContractBreach
from bnnbench.evidence import card
from bnnbench.evidence.traces import write_traces
from bnnbench.matrix.plan import FitSpec
from bnnbench.measurements.sample import sample_of
from bnnbench.pool.job import Setting
from bnnbench.running.tasks import drawing, same_network, worker
from bnnbench.store.layout import TRACES
from bnnbench.store.records import Ending, record_of_fit, record_of_part
from bnnbench.store.store import CHAINS, DRAWS, FITS


def run_part(spec: FitSpec, part: int, setting: Setting) -> str:
    """Fit one part of a fit, write its record, and return its status.

    If it fails the process of the run writes the record of the fit, because several parts may fail at once and a
    record must have one writer.
    """
    files: dependencies.Fields = {}
    ending, drawn = worker.timed(lambda: drawing.part_of(spec, part, setting, files), setting)
    if drawn is not None:
        ending = _with_earlier(ending, drawn)
    _write_part(spec, part, setting, ending, None if drawn is None else drawn.draws, files)
    return ending.status


def run_fit(spec: FitSpec, setting: Setting) -> str:
    """Fit, or take the draws that are stored, write the record of the fit, and return its status.

    New draws are stored before anything is predicted with them: if the task is ended then, the next run takes them.
    """
    files: dependencies.Fields = {}
    ending, drawn = worker.timed(lambda: drawing.drawn(spec, setting, files), setting)
    record: dict[str, Any] = {}
    artefacts: dict[str, Callable[..., None]] = {}
    if drawn is not None:
        ending = _with_earlier(ending, drawn)
        if not drawn.stored:
            _write_part(spec, 0, setting, ending, drawn.draws, files, drawn.needed)
        judging, judged = worker.timed(lambda: _judged(spec, drawn, files), setting)
        ending = _together(judging, ending, drawn.stored)
        if judged is not None:
            # Times are not written with the draws, so that equal draws have equal files.
            timeless = {name: value for name, value in drawn.draws.diagnostics.items() if name != "seconds"}
            kept = Draws(drawn.draws.arrays, shared=drawn.draws.shared, diagnostics=timeless)
            # With the files that were read, so that the draws of two networks have two checksums.
            artefacts[DRAWS] = lambda path: draws_file.write_draws(path, kept, dict(files))
            record = judged
            if traces := judged.pop("traces"):
                artefacts[TRACES] = lambda path: write_traces(path, traces)
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
    spec: FitSpec,
    part: int,
    setting: Setting,
    ending: Ending,
    draws: Draws | None,
    files: dependencies.Fields,
    needed: Mapping[str, Any] | None = None,
) -> None:
    """Write the record of one part of a fit, or of all draws of a fit that is one task, as part 0."""
    more: dict[str, Any] = {**files, **(needed or {})}
    artefacts: dict[str, Callable[..., None]] = {}
    if draws is not None:
        more["data"] = worker.loaded_sum(spec.dataset, spec.seed)
        artefacts[DRAWS] = lambda path: draws_file.write_draws(path, draws)
    record = record_of_part(spec, part, ending, **more)
    worker.own_store(setting).write(CHAINS, spec.part_key(part), record, artefacts)


def _with_earlier(ending: Ending, drawn: drawing.Drawn) -> Ending:
    """The ending of a task with the times of earlier ones, from whose states its draws went on."""
    seconds, cpu_seconds = drawn.earlier
    return replace(ending, seconds=ending.seconds + seconds, cpu_seconds=(ending.cpu_seconds or 0.0) + cpu_seconds)


def _together(judging: Ending, drawing: Ending, stored: list[dict[str, Any]]) -> Ending:
    """The ending of the last step of a fit, with the times of all steps and of the stored parts."""
    times = [(drawing.seconds, drawing.cpu_seconds or 0.0)]
    times += [(float(part["seconds"]), float(part["cpu_seconds"])) for part in stored]
    return replace(
        judging,
        seconds=judging.seconds + sum(seconds for seconds, _ in times),
        cpu_seconds=(judging.cpu_seconds or 0.0) + sum(used for _, used in times),
    )


def _judged(spec: FitSpec, drawn: drawing.Drawn, files: dependencies.Fields) -> dict[str, Any]:
    """The fields of a fit's record: card, diagnostics, checksums of the data, and where stored parts were drawn.

    `traces` are those of the card, which become a file.

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
    found = card.judged(predictive, drawn.data)
    named = ("seconds", "cpu_seconds", "environment")
    chains = [{name: part[name] for name in named} for part in drawn.stored]
    return {
        **({"chains": chains} if chains else {}),
        "data": worker.loaded_sum(spec.dataset, spec.seed),
        "test_data": worker.loaded_test_sum(spec.dataset, spec.seed),
        "card": found.card,
        "traces": found.traces,
        **drawn.needed,
        "diagnostics": _summary(drawn.draws.diagnostics),
        **same_network.seen_by(predictive, drawn.data),
    }


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
