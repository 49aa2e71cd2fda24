"""What a worker does: one fit, or one attack on a fit under all the threats that are missing."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from bnnbench.core import fitting, saving
from bnnbench.core.dataset import Data, Dataset
from bnnbench.core.predictive import Predictive
from bnnbench.core.threat import Threat
from bnnbench.errors import BnnbenchError, ContractBreach, GradientRefused, Incompatible
from bnnbench.evidence import card, metrics
from bnnbench.evidence.evaluate import Defence, evaluate_each
from bnnbench.evidence.intervals import wilson
from bnnbench.evidence.outcome import Outcome
from bnnbench.matrix.environment import environment
from bnnbench.matrix.plan import CellSpec, FitSpec
from bnnbench.matrix.progress import Reporter
from bnnbench.matrix.store import DRAWS, Store


@dataclass(frozen=True)
class Setting:
    """Where and how tasks run; nothing of it enters a key."""

    store: str
    device: str
    threads: int
    progress: tuple[str, int] | None = None


def run_fit(spec: FitSpec, setting: Setting) -> str:
    """Fit, and write the fit's record; returns its status."""
    started, used = time.perf_counter(), time.process_time()
    record: dict[str, Any] = {"kind": "fit", "identity": spec.identity, "status": "ok", "reason": "", "seed": spec.seed}
    artefacts: dict[str, Callable[..., None]] = {}
    try:
        record |= _fitted(spec, setting, artefacts)
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything, and the matrix goes on
        record |= _failure(error)
    record["seconds"] = time.perf_counter() - started
    record["cpu_seconds"] = time.process_time() - used
    record["environment"] = environment(setting.threads)
    Store(setting.store).write("fits", spec.key, record, artefacts)
    return str(record["status"])


def _fitted(spec: FitSpec, setting: Setting, artefacts: dict[str, Callable[..., None]]) -> dict[str, Any]:
    progress = Reporter(setting.progress, spec.key)
    progress(0, 0, "loading")
    data = _data(spec.dataset, spec.seed)
    template = fitting.prepared(spec.network.build(data), setting.device)
    draws = spec.posterior.fit(template, data, seed=spec.seed, progress=progress)
    fitting.check_draws(spec.posterior, draws)
    predictive = spec.posterior.predictive(template, draws)
    predictive.fitted_by = spec.posterior
    artefacts[DRAWS] = lambda path: saving.write_draws(path, draws)
    found = card.posterior_card(predictive, data)
    record = {"card": found, "diagnostics": _summary(draws.diagnostics), "test": _test(predictive, data)}
    if found["level"] == "degenerate":
        return record | {"status": "invalid", "reason": f"the posterior is degenerate: {found['why']}"}
    return record


def _test(predictive: Predictive, data: Data) -> dict[str, Any]:
    """Clean figures of all draws on all test images."""
    log_probs = predictive.log_probs(data.test[0]).detach().cpu().numpy()
    labels = data.test[1].numpy()
    right = int(metrics.correct(log_probs, labels).sum())
    low, high = wilson(right, len(labels))
    return {
        "images": len(labels),
        "draws": len(predictive),
        "accuracy": right / len(labels),
        "low": low,
        "high": high,
        "nll": float(metrics.negative_log_likelihood(log_probs, labels).mean()),
        "calibration_error": metrics.calibration_error(log_probs, labels),
    }


def run_attack(cells: Sequence[CellSpec], setting: Setting) -> dict[str, str]:
    """Attack one fit under threats that differ in norm and epsilon alone, and write a record each; key -> status."""
    started, used = time.perf_counter(), time.process_time()
    outcomes: list[Outcome] = []
    record: dict[str, Any] = {"kind": "attack", "status": "ok", "reason": "", "warnings": []}
    try:
        outcomes = _attacked(cells, setting)
    except Exception as error:  # noqa: BLE001 - as above
        record |= _failure(error)
    # The threats are attacked together, so their share of the time is all that can be said.
    record["seconds"] = (time.perf_counter() - started) / len(cells)
    record["cpu_seconds"] = (time.process_time() - used) / len(cells)
    record["environment"] = environment(setting.threads)
    store = Store(setting.store)
    for number, cell in enumerate(cells):
        own = record | {"identity": cell.identity, "fit": cell.fit.key, "seed": cell.seed}
        if outcomes:
            outcome = outcomes[number]
            own |= {"images": len(outcome)} | {name: getattr(outcome, name) for name in _NUMBERS}
            if len(outcome) < cell.images:
                own["warnings"] = [f"the test set has {len(outcome)} images, not {cell.images}"]
            store.write_arrays("cells", cell.key, own, to_arrays(outcome))
        else:
            store.write("cells", cell.key, own)
    return {cell.key: str(record["status"]) for cell in cells}


def _attacked(cells: Sequence[CellSpec], setting: Setting) -> list[Outcome]:
    first = cells[0]
    bounds = _data(first.fit.dataset, first.seed).bounds
    threats = [replace(cell.threat, bounds=bounds) for cell in cells]
    sides = (first.threat.stream, first.threat.attack_draws, first.images, first.draws)
    return evaluate_each(first.attacker, _defence(first.fit, sides, setting), threats, keep=first.keep)


_STEP = "step."
_NUMBERS = ("draws", "attack_draws", "stops_early")
"""What of an outcome is no array, and stands in its record."""


def to_arrays(outcome: Outcome) -> dict[str, np.ndarray]:
    """An outcome's arrays as they are stored: what is None or a number is left out."""
    arrays = {name: value for name, value in vars(outcome).items() if isinstance(value, np.ndarray)}
    return arrays | {_STEP + name: values for name, values in outcome.steps.items()}


def to_outcome(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> Outcome:
    """The outcome of a stored record."""
    steps = {name.removeprefix(_STEP): array for name, array in arrays.items() if name.startswith(_STEP)}
    own: dict[str, Any] = {name: array for name, array in arrays.items() if not name.startswith(_STEP)}
    own.setdefault("zero_direction", None)
    return Outcome(**own, steps=steps, **{name: record[name] for name in _NUMBERS})


def _failure(error: Exception) -> dict[str, Any]:
    if isinstance(error, Incompatible | GradientRefused):
        return {"status": "skipped", "reason": str(error)}
    status = "invalid" if isinstance(error, ContractBreach) else "failed"
    known = isinstance(error, BnnbenchError)
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    # One line: the traceback keeps the rest.
    return {"status": status, "reason": " ".join(reason.split()), "traceback": traceback.format_exc()}


def _summary(diagnostics: dict[str, Any]) -> dict[str, Any]:
    """Diagnostics for the record: long arrays are in the draws' file, so here their mean, smallest and largest."""
    short = {}
    for name, value in diagnostics.items():
        array = np.asarray(value)
        if array.size > 16 and array.dtype.kind in "biuf":
            value = {"mean": float(array.mean()), "min": float(array.min()), "max": float(array.max())}
        short[name] = saving.plain(value)
    return short


# One worker does many attacks on the same fit: data, ensemble and clean results are kept for the last few.


def _data(dataset: Dataset, seed: int) -> Data:
    return _kept(_loaded_data, (str(dataset.identity()), seed), lambda: dataset.load(seed))


def _defence(fit: FitSpec, sides: tuple[Any, ...], setting: Setting) -> Defence:
    def make() -> Defence:
        stream, attack_draws, images, draws = sides
        data = _data(fit.dataset, fit.seed)
        network = fitting.prepared(fit.network.build(data), setting.device)
        stored, _ = saving.read_draws(Store(setting.store).place("fits", fit.key) / DRAWS)
        predictive = fit.posterior.predictive(network, stored)
        threat = Threat(epsilon=0.0, stream=stream, attack_draws=attack_draws, bounds=data.bounds)
        return Defence(predictive, data, threat, images=images, draws=draws, seed=fit.seed)

    return _kept(_defences, (fit.key, *sides), make)


Value = TypeVar("Value")
_loaded_data: dict[Any, Data] = {}
_defences: dict[Any, Defence] = {}


def _kept(cache: dict[Any, Value], key: Any, make: Callable[[], Value]) -> Value:
    if key not in cache:
        cache.clear()
        cache[key] = make()
    return cache[key]
