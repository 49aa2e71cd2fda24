"""The tasks of a fit: sample one of its chains, or fit as a whole, from stored chains if it has several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core import draws_file
from bnnbench.core.chains import IndependentChains, joined
from bnnbench.core.dataset import Data
from bnnbench.core.draws import Draws
from bnnbench.core.predictive import Predictive
from bnnbench.core.rules import fit_run, preparation
from bnnbench.core.rules.network_trial import check_network
from bnnbench.core.rules.purity import global_state
from bnnbench.errors import ContractBreach
from bnnbench.evidence import card
from bnnbench.matrix.plan import FitSpec
from bnnbench.pool.job import Setting
from bnnbench.pool.progress import Reporter
from bnnbench.running.tasks import worker
from bnnbench.statistics import metrics
from bnnbench.statistics.intervals import wilson
from bnnbench.store.records import record_of_chain, record_of_fit
from bnnbench.store.store import CHAINS, DRAWS, FITS, Store

if TYPE_CHECKING:
    from torch import nn


def run_chain(spec: FitSpec, chain: int, setting: Setting) -> str:
    """Sample one chain of a fit, write its record, and return its status.

    If it fails the process of the run writes the record of the fit, because several chains may fail at once and a
    record must have one writer.
    """
    ending, draws = worker.timed(lambda: _chain(spec, chain, setting), setting)
    more: dict[str, Any] = {}
    artefacts: dict[str, Callable[..., None]] = {}
    if draws is not None:
        more["data"] = worker.loaded_sum(spec.dataset, spec.seed)
        artefacts[DRAWS] = lambda path: draws_file.write_draws(path, draws)
    record = record_of_chain(spec, chain, ending, **more)
    worker.own_store(setting).write(CHAINS, spec.chain_key(chain), record, artefacts)
    return ending.status


def run_fit(spec: FitSpec, setting: Setting) -> str:
    """Fit, or join the chains in the store, write the record of the fit, and return its status."""
    ending, made = worker.timed(lambda: _fit(spec, setting), setting)
    more: dict[str, Any] = {}
    artefacts: dict[str, Callable[..., None]] = {}
    if made is not None:
        draws, more = made
        # Times are not written with the draws, so that equal draws have equal files.
        timeless = {name: value for name, value in draws.diagnostics.items() if name != "seconds"}
        drawn = Draws(draws.arrays, shared=draws.shared, diagnostics=timeless)
        artefacts[DRAWS] = lambda path: draws_file.write_draws(path, drawn)
        chains = more.get("chains", [])
        ending = replace(
            ending,
            status=more.pop("status", ending.status),
            reason=more.pop("reason", ending.reason),
            seconds=ending.seconds + sum(part["seconds"] for part in chains),
            cpu_seconds=(ending.cpu_seconds or 0.0) + sum(part["cpu_seconds"] for part in chains),
        )
    store = worker.own_store(setting)
    store.write(FITS, spec.key, record_of_fit(spec, ending, **more), artefacts)
    if ending.status == "ok":
        for chain in range(len(more.get("chains", []))):
            store.remove(CHAINS, spec.chain_key(chain))
    return ending.status


def _chain(spec: FitSpec, chain: int, setting: Setting) -> Draws:
    """The draws of one chain, checked against the rules for fits."""
    posterior = spec.posterior
    assert isinstance(posterior, IndependentChains)
    data, template, progress = _prepared(spec, setting, spec.chain_key(chain))
    draws = fit_run.by_rules(
        posterior,
        template,
        data,
        lambda: posterior.fit_chain(template, data, seed=spec.seed, chain=chain, progress=progress),
    )
    fit_run.check_draws(posterior, draws, posterior.per_chain)
    return draws


def _fit(spec: FitSpec, setting: Setting) -> tuple[Draws, dict[str, Any]]:
    """The draws of a fit, and the fields of its record: card, diagnostics, clean figures, checksums of the data."""
    data, template, progress = _prepared(spec, setting, spec.key)
    stored = _stored_chains(spec, Store(setting.store))
    record: dict[str, Any] = {}
    for part, _ in stored:
        worker.check_data(spec.dataset, spec.seed, part)
    if stored:
        try:
            draws = joined([draws for _, draws in stored])
        except ValueError as error:
            raise ContractBreach(f"{fit_run.name_of(spec.posterior)}: {error}") from error
        record["chains"] = [
            {name: part[name] for name in ("seconds", "cpu_seconds", "environment")} for part, _ in stored
        ]
    else:
        draws = fit_run.by_rules(
            spec.posterior,
            template,
            data,
            lambda: spec.posterior.fit(template, data, seed=spec.seed, progress=progress),
        )
    fit_run.check_draws(spec.posterior, draws)
    predictive = spec.posterior.predictive(template, draws)
    predictive.fitted_by = spec.posterior
    tested = _test(predictive, data)
    fit_card = card.posterior_card(predictive, data)
    record["data"] = worker.loaded_sum(spec.dataset, spec.seed)
    record["test_data"] = worker.loaded_test_sum(spec.dataset, spec.seed)
    record |= {"card": fit_card, "diagnostics": _summary(draws.diagnostics), "test": tested}
    if fit_card["level"] == "degenerate":
        record |= {"status": "invalid", "reason": f"the posterior is degenerate: {fit_card['why']}"}
    return draws, record


def _stored_chains(spec: FitSpec, store: Store) -> list[tuple[dict[str, Any], Draws]]:
    """The record and the draws of each chain of a fit; an empty list if any chain is missing."""
    stored = []
    for chain in range(spec.chains):
        record = store.record(CHAINS, spec.chain_key(chain))
        if record is None or record["status"] != "ok":
            return []
        stored.append((record, store.draws(CHAINS, spec.chain_key(chain), record)))
    return stored


def _prepared(spec: FitSpec, setting: Setting, key: str) -> tuple[Data, nn.Module, Reporter]:
    """The data, the template network on its device, and the reporter of progress under a key."""
    worker.check_code(spec.dataset, spec.network, spec.posterior)
    progress = Reporter(setting.progress, key)
    progress(0, 0, "loading")
    data = worker.load(spec.dataset, spec.seed)
    template = preparation.built(spec.network, data, setting.device)
    check_network(template, data)
    return data, template, progress


def _test(predictive: Predictive, data: Data) -> dict[str, Any]:
    """Accuracy, likelihood and calibration of all draws on all test images, unattacked, for the record of the fit."""
    with global_state(predictive.described):
        log_probs = predictive.log_probs(data.test[0]).detach().cpu().numpy()
    if not np.isfinite(log_probs).all():
        raise ContractBreach(f"{predictive.described} gives log-probabilities that are not finite")
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


def _summary(diagnostics: dict[str, Any]) -> dict[str, Any]:
    """Diagnostics for the record. Arrays of over 16 values are in the draws' file, and here their mean, min and max."""
    short = {}
    for name, value in diagnostics.items():
        array = np.asarray(value)
        if array.size > 16 and array.dtype.kind in "biuf":
            value = {"mean": float(array.mean()), "min": float(array.min()), "max": float(array.max())}
        short[name] = draws_file.as_json(value)
    return short
