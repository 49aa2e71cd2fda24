"""Stored fits that a task needs beside its own: what a posterior is made of, or a measure compares with."""

from __future__ import annotations

from typing import Any

from bnnbench.core.dataset import Data
from bnnbench.core.draws import Draws
from bnnbench.core.predictive import Predictive
from bnnbench.errors import BnnbenchError, DamagedArtefact, Incompatible
from bnnbench.matrix.plan import FitSpec
from bnnbench.pool.job import Setting
from bnnbench.running.tasks import same_network, worker
from bnnbench.store.store import FITS, Store


def draws_of(fit: FitSpec, setting: Setting) -> tuple[Draws, dict[str, Any]]:
    """The draws of a stored fit, with the fit's record.

    Raises `Incompatible` if the fit was skipped, `BnnbenchError` if it has failed, and `DamagedArtefact` if it is not
    in the store any more.
    """
    store = Store(setting.store)
    record = record_of(fit, store)
    return store.draws(FITS, fit.key, record), record


def record_of(fit: FitSpec, store: Store) -> dict[str, Any]:
    """The record of a fit whose draws are in the store. Raises as `draws_of` does."""
    record = store.record(FITS, fit.key)
    if record is None:
        # Another task has found it damaged: this one is done after the fit is made again.
        reason = "; ".join(store.damaged) or "no record"
        raise DamagedArtefact(f"fit {fit.key} is not in the store any more: {reason}")
    if record["status"] != "ok":
        name = str(fit.posterior.identity()["component"]).rpartition(":")[2]
        kind = Incompatible if record["status"] == "skipped" else BnnbenchError
        raise kind(f"the fit that is needed, {name} {fit.key[:8]}, is {record['status']}: {record['reason']}")
    worker.check_data(fit.dataset, fit.seed, record)
    return record


def predictive_of(fit: FitSpec, data: Data, setting: Setting) -> tuple[Predictive, dict[str, Any]]:
    """The predictive of a stored fit, with the fit's record.

    Raises as `draws_of` does, and `ContractBreach` if its data or network have changed.
    """
    store = Store(setting.store)
    record = record_of(fit, store)
    network = same_network.built_again(fit, record, data, setting.device)
    predictive = fit.posterior.predictive(network, store.draws(FITS, fit.key, record))
    # As `bnnbench.fit` does: measures and certificates ask the posterior whether its draws are independent.
    predictive.fitted_by = fit.posterior
    same_network.check_predictions(fit, record, predictive, data, setting)
    return predictive, record
