"""What a worker does to fit: one chain of a fit, or the whole of it, from chains where there are several."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core import fitting, saving
from bnnbench.core.chains import IndependentChains, joined
from bnnbench.core.dataset import Data
from bnnbench.core.posterior import Draws
from bnnbench.core.predictive import Predictive, name_of
from bnnbench.core.untouched import global_state
from bnnbench.errors import ContractBreach
from bnnbench.evidence import card, metrics
from bnnbench.evidence.intervals import wilson
from bnnbench.matrix import work
from bnnbench.matrix.plan import FitSpec
from bnnbench.matrix.progress import Reporter
from bnnbench.matrix.store import CHAINS, DRAWS, FITS, Store
from bnnbench.matrix.work import Setting

if TYPE_CHECKING:
    from torch import nn


def run_chain(spec: FitSpec, chain: int, setting: Setting) -> str:
    """Sample one chain of a fit and keep it, or why it failed; returns its status.

    The fit's own record is not its business: several chains may fail at once, and it has one writer.
    """
    record, draws = work.timed(lambda: _chain(spec, chain, setting), setting)
    record |= {"kind": "chain", "identity": spec.chain_identity(chain), "seed": spec.seed}
    artefacts: dict[str, Callable[..., None]] = {}
    if draws is not None:
        record["data"] = work.loaded_sum(spec.dataset, spec.seed)
        artefacts[DRAWS] = lambda path: saving.write_draws(path, draws)
    work.own_store(setting).write(CHAINS, spec.chain_key(chain), record, artefacts)
    return str(record["status"])


def run_fit(spec: FitSpec, setting: Setting) -> str:
    """Fit, or put together the chains that are in the store, and write the fit's record; returns its status."""
    record, made = work.timed(lambda: _fit(spec, setting), setting)
    artefacts: dict[str, Callable[..., None]] = {}
    if made is not None:
        draws, found = made
        # The time it took is no part of what was drawn: the same draws have the same file.
        timeless = {name: value for name, value in draws.diagnostics.items() if name != "seconds"}
        drawn = Draws(draws.arrays, shared=draws.shared, diagnostics=timeless)
        artefacts[DRAWS] = lambda path: saving.write_draws(path, drawn)
        record |= found
        for part in found.get("chains", []):
            record["seconds"] += part["seconds"]
            record["cpu_seconds"] += part["cpu_seconds"]
    store = work.own_store(setting)
    store.write(FITS, spec.key, record | {"kind": "fit", "identity": spec.identity, "seed": spec.seed}, artefacts)
    if record["status"] == "ok":
        for chain in range(len(record.get("chains", []))):
            store.remove(CHAINS, spec.chain_key(chain))
    return str(record["status"])


def _chain(spec: FitSpec, chain: int, setting: Setting) -> Draws:
    posterior = spec.posterior
    assert isinstance(posterior, IndependentChains)
    data, template, progress = _prepared(spec, setting, spec.chain_key(chain))
    draws = fitting.by_rules(
        posterior,
        template,
        data,
        lambda: posterior.fit_chain(template, data, seed=spec.seed, chain=chain, progress=progress),
    )
    fitting.check_draws(posterior, draws, posterior.per_chain)
    return draws


def _fit(spec: FitSpec, setting: Setting) -> tuple[Draws, dict[str, Any]]:
    """The draws, and what they say of themselves."""
    data, template, progress = _prepared(spec, setting, spec.key)
    stored = _stored_chains(spec, Store(setting.store))
    record: dict[str, Any] = {}
    for part, _ in stored:
        work.check_data(spec.dataset, spec.seed, part)
    if stored:
        try:
            draws = joined([draws for _, draws in stored])
        except ValueError as error:
            raise ContractBreach(f"{fitting.name_of(spec.posterior)}: {error}") from error
        record["chains"] = [
            {name: part[name] for name in ("seconds", "cpu_seconds", "environment")} for part, _ in stored
        ]
    else:
        draws = fitting.by_rules(
            spec.posterior,
            template,
            data,
            lambda: spec.posterior.fit(template, data, seed=spec.seed, progress=progress),
        )
    fitting.check_draws(spec.posterior, draws)
    predictive = spec.posterior.predictive(template, draws)
    predictive.fitted_by = spec.posterior
    tested = _test(predictive, data)
    found = card.posterior_card(predictive, data)
    record["data"] = work.loaded_sum(spec.dataset, spec.seed)
    record["test_data"] = work.loaded_test_sum(spec.dataset, spec.seed)
    record |= {"card": found, "diagnostics": _summary(draws.diagnostics), "test": tested}
    if found["level"] == "degenerate":
        record |= {"status": "invalid", "reason": f"the posterior is degenerate: {found['why']}"}
    return draws, record


def _stored_chains(spec: FitSpec, store: Store) -> list[tuple[dict[str, Any], Draws]]:
    """The record and the draws of each chain, or nothing unless all are there."""
    found = []
    for chain in range(spec.chains):
        record = store.record(CHAINS, spec.chain_key(chain))
        if record is None or record["status"] != "ok":
            return []
        found.append((record, saving.read_draws(store.place(CHAINS, spec.chain_key(chain)) / DRAWS)[0]))
    return found


def _prepared(spec: FitSpec, setting: Setting, key: str) -> tuple[Data, nn.Module, Reporter]:
    work.check_code(spec.dataset, spec.network, spec.posterior)
    progress = Reporter(setting.progress, key)
    progress(0, 0, "loading")
    data = work.load(spec.dataset, spec.seed)
    return data, fitting.prepared(spec.network.build(data), setting.device), progress


def _test(predictive: Predictive, data: Data) -> dict[str, Any]:
    """Clean figures of all draws on all test images."""
    with global_state(name_of(predictive)):
        log_probs = predictive.log_probs(data.test[0]).detach().cpu().numpy()
    if not np.isfinite(log_probs).all():
        raise ContractBreach(f"{name_of(predictive)} gives log-probabilities that are not finite")
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
    """Diagnostics for the record: long arrays are in the draws' file, so here their mean, smallest and largest."""
    short = {}
    for name, value in diagnostics.items():
        array = np.asarray(value)
        if array.size > 16 and array.dtype.kind in "biuf":
            value = {"mean": float(array.mean()), "min": float(array.min()), "max": float(array.max())}
        short[name] = saving.plain(value)
    return short
