"""Build the network of a fit, and make sure that its cells are about the network that was fitted.

The record of a fit names the files that its parts have read, and holds a few predictions of its first draw. A cell
whose network reads other contents, or predicts otherwise, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core import dependencies
from bnnbench.core.rules import preparation
from bnnbench.core.rules.network_trial import check_network
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import ContractBreach, one_line
from bnnbench.matrix.specs import FitSpec
from bnnbench.pool.job import Setting
from bnnbench.store.environment import environment, gives_the_same_bits

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data
    from bnnbench.core.network import Network
    from bnnbench.core.predictive import Predictive

SEEN = "first_draw"
"""The field of the record of a fit with the log-probabilities of its first draw at the first test inputs."""
INPUTS, CLASSES = 4, 16
"""The largest number of inputs and of classes of these."""
SAME, SIMILAR = 1e-4, 5e-2
"""The largest relative difference of predictions in one environment, and in two."""


def built(
    network: Network, data: Data, device: str, files: dependencies.Fields
) -> tuple[nn.Module, dependencies.Files]:
    """The template of a network in eval mode on a device, checked as before a fit, and the files that it reads.

    Those that it depends on are noted in `files` with their checksums, even if it fails. It may read them when it is
    built, or when it is first called. Raises what `preparation.built` and `check_network` raise.
    """
    with dependencies.noted(network, files) as now:
        template = preparation.built(network, data, device)
        check_network(template, data)
    return template, now


def built_again(spec: FitSpec, record: Mapping[str, Any], data: Data, device: str) -> nn.Module:
    """The template of a fit's network, built for a cell; `record` is that of the fit.

    Raises `ContractBreach` if it reads other contents of its files than it did for the fit.
    """
    with dependencies.noted(spec.network, {}) as now:
        template = preparation.built(spec.network, data, device)
    _check_network_files(spec, record, now)
    return template


def check_files(spec: FitSpec, record: Mapping[str, Any], now: dependencies.Files) -> None:
    """Raise `ContractBreach` if the parts of a fit depend on other contents of files than they did for a record.

    `now` are the files that the network reads.
    """
    _check_network_files(spec, record, now)
    if change := dependencies.changed(record, spec.dataset, spec.posterior):
        raise ContractBreach(one_line(change.told(" for draws that are stored")))


def _check_network_files(spec: FitSpec, record: Mapping[str, Any], now: dependencies.Files) -> None:
    """Raise `ContractBreach` if the network reads other contents of files `now` than it did for a record."""
    told = dependencies.difference(dependencies.in_record(record, spec.network), now, spec.network)
    if told is not None:
        raise ContractBreach(one_line(f"{_named(spec)} is another network now: {told} (--fresh fits it anew)"))


def seen_by(predictive: Predictive, data: Data) -> dict[str, Any]:
    """The field `SEEN` of the record of a fit; empty if the first draw does not predict the same twice."""
    values = _log_probs(predictive, data)
    return {SEEN: values.tolist()} if np.array_equal(values, _log_probs(predictive, data)) else {}


def check_predictions(
    spec: FitSpec, record: Mapping[str, Any], predictive: Predictive, data: Data, setting: Setting
) -> None:
    """Raise `ContractBreach` if the first draw of a fit predicts otherwise than its record says.

    The network may depend on something else than files that Python has opened, such as a variable of the environment.
    """
    before = _as_array(record.get(SEEN))
    if before is None:
        return
    now = _log_probs(predictive, data)
    alike = gives_the_same_bits(record["environment"], environment(setting.threads))
    allowed = (SAME if alike else SIMILAR) * np.maximum(1.0, np.abs(before))
    if before.shape != now.shape or (np.abs(before - now) > allowed).any():
        raise ContractBreach(
            one_line(
                f"{_named(spec)} is another network now: with the weights of its fit it does not predict what it did "
                "then, though its code and the files that it reads are the same (--fresh fits it anew)"
            )
        )


def _as_array(value: Any) -> np.ndarray | None:
    """The field of a record as an array; None if there is none, or something else in its place."""
    try:
        return None if value is None else np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None


def _log_probs(predictive: Predictive, data: Data) -> np.ndarray:
    values = predictive.draw_log_probs(data.test[0][:INPUTS], [0])[0, :, :CLASSES]
    # JSON has no infinite numbers.
    return np.clip(values.detach().cpu().numpy().astype(float), -1e6, 0.0)


def _named(spec: FitSpec) -> str:
    network = spec.network
    path, name = getattr(network, "path", ""), getattr(network, "name", "")
    return f"{path}:{name}" if path and name else f"network {name_in_messages(type(network))}"
