"""The tasks of a fit: sample one of its chains, or fit as a whole, from stored chains if it has several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core import draws_file, network_files
from bnnbench.core.chains import IndependentChains, joined
from bnnbench.core.dataset import Data, check_training
from bnnbench.core.draws import Draws
from bnnbench.core.predictive import Predictive
from bnnbench.core.rules import fit_run
from bnnbench.core.rules.purity import global_state
from bnnbench.errors import ContractBreach
from bnnbench.evidence import card
from bnnbench.matrix.plan import FitSpec
from bnnbench.measurements.sample import sample_of
from bnnbench.pool.job import Setting
from bnnbench.pool.progress import Reporter
from bnnbench.running.tasks import same_network, worker
from bnnbench.store.records import record_of_chain, record_of_fit
from bnnbench.store.store import CHAINS, DRAWS, FITS, Store

if TYPE_CHECKING:
    from torch import nn


def run_chain(spec: FitSpec, chain: int, setting: Setting) -> str:
    """Sample one chain of a fit, write its record, and return its status.

    If it fails the process of the run writes the record of the fit, because several chains may fail at once and a
    record must have one writer.
    """
    files: dict[str, str] = {}
    ending, draws = worker.timed(lambda: _chain(spec, chain, setting, files), setting)
    more: dict[str, Any] = {network_files.FIELD: files} if files else {}
    artefacts: dict[str, Callable[..., None]] = {}
    if draws is not None:
        more["data"] = worker.loaded_sum(spec.dataset, spec.seed)
        artefacts[DRAWS] = lambda path: draws_file.write_draws(path, draws)
    record = record_of_chain(spec, chain, ending, **more)
    worker.own_store(setting).write(CHAINS, spec.chain_key(chain), record, artefacts)
    return ending.status


def run_fit(spec: FitSpec, setting: Setting) -> str:
    """Fit, or join the chains in the store, write the record of the fit, and return its status."""
    files: dict[str, str] = {}
    ending, made = worker.timed(lambda: _fit(spec, setting, files), setting)
    read: dict[str, Any] = {network_files.FIELD: files} if files else {}
    more: dict[str, Any] = {}
    artefacts: dict[str, Callable[..., None]] = {}
    if made is not None:
        draws, more = made
        # Times are not written with the draws, so that equal draws have equal files.
        timeless = {name: value for name, value in draws.diagnostics.items() if name != "seconds"}
        drawn = Draws(draws.arrays, shared=draws.shared, diagnostics=timeless)
        # With the files that the network read, so that the draws of two networks have two checksums.
        artefacts[DRAWS] = lambda path: draws_file.write_draws(path, drawn, read)
        chains = more.get("chains", [])
        ending = replace(
            ending,
            status=more.pop("status", ending.status),
            reason=more.pop("reason", ending.reason),
            seconds=ending.seconds + sum(part["seconds"] for part in chains),
            cpu_seconds=(ending.cpu_seconds or 0.0) + sum(part["cpu_seconds"] for part in chains),
        )
    store = worker.own_store(setting)
    store.write(FITS, spec.key, record_of_fit(spec, ending, **more, **read), artefacts)
    if ending.status == "ok":
        for chain in range(len(more.get("chains", []))):
            store.remove(CHAINS, spec.chain_key(chain))
    return ending.status


def _chain(spec: FitSpec, chain: int, setting: Setting, files: dict[str, str]) -> Draws:
    """The draws of one chain, checked against the rules for fits. The files that the network reads go into `files`."""
    posterior = spec.posterior
    assert isinstance(posterior, IndependentChains)
    data, template, progress = _prepared(spec, setting, spec.chain_key(chain), files)
    draws = fit_run.by_rules(
        posterior,
        template,
        data,
        lambda: posterior.fit_chain(template, data, seed=spec.seed, chain=chain, progress=progress),
    )
    fit_run.check_draws(posterior, draws, posterior.per_chain)
    return draws


def _fit(spec: FitSpec, setting: Setting, files: dict[str, str]) -> tuple[Draws, dict[str, Any]]:
    """The draws of a fit, and the fields of its record: card, diagnostics, checksums of the data.

    The files that the network reads are noted in `files`.
    """
    data, template, progress = _prepared(spec, setting, spec.key, files)
    stored = _stored_chains(spec, Store(setting.store))
    record: dict[str, Any] = {}
    _check_chains(spec, [part for part, _ in stored], files, setting)
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
    _check_predictions(predictive, data)
    fit_card = card.posterior_card(predictive, data)
    record["data"] = worker.loaded_sum(spec.dataset, spec.seed)
    record["test_data"] = worker.loaded_test_sum(spec.dataset, spec.seed)
    record |= {"card": fit_card, "diagnostics": _summary(draws.diagnostics)}
    record |= same_network.seen_by(predictive, data)
    if fit_card["level"] == "degenerate":
        record |= {"status": "invalid", "reason": f"the posterior is degenerate: {fit_card['why']}"}
    return draws, record


def _check_chains(spec: FitSpec, records: list[dict[str, Any]], files: dict[str, str], setting: Setting) -> None:
    """Raise `ContractBreach` if chains were sampled from other data, or with another network, than this fit has.

    These chains are removed, so that the next run samples them again.
    """
    breach = None
    for chain, record in enumerate(records):
        try:
            worker.check_data(spec.dataset, spec.seed, record)
            same_network.check_files(spec, record, files)
        except ContractBreach as error:
            worker.own_store(setting).remove(CHAINS, spec.chain_key(chain))
            breach = error
    if breach is not None:
        raise breach


def _stored_chains(spec: FitSpec, store: Store) -> list[tuple[dict[str, Any], Draws]]:
    """The record and the draws of each chain of a fit; an empty list if any chain is missing."""
    stored = []
    for chain in range(spec.chains):
        record = store.record(CHAINS, spec.chain_key(chain))
        if record is None or record["status"] != "ok":
            return []
        stored.append((record, store.draws(CHAINS, spec.chain_key(chain), record)))
    return stored


def _prepared(spec: FitSpec, setting: Setting, key: str, files: dict[str, str]) -> tuple[Data, nn.Module, Reporter]:
    """The data, the template network on its device, and the reporter of progress under a key.

    The files that the network reads are noted in `files`.
    """
    worker.check_code(spec.dataset, spec.network, spec.posterior)
    progress = Reporter(setting.progress, key)
    progress(0, 0, "loading")
    data = worker.load(spec.dataset, spec.seed)
    check_training(data)
    return data, same_network.built(spec.network, data, setting.device, files), progress


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
