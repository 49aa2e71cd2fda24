"""The rule that components which are lent a defence change nothing that others use."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bnnbench.errors import ContractBreach
from bnnbench.measurements.defence import Defence

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def lent(defence: Defence, name: str, *tensors: Tensor) -> Iterator[Defence]:
    """A copy of a defence for the body, whose attributes are its own, under the standard settings.

    Raises `ContractBreach`, which names the component, if the body changes the predictive, the images, the clean
    predictions or further `tensors`, draws from a global random state, or changes a setting of the process.
    """
    from bnnbench.core.rules.checksums import Unchanged, traces
    from bnnbench.core.rules.purity import global_state
    from bnnbench.core.standard_settings import standard_settings

    clean, predictive = defence.clean, defence.predictive
    weights = Unchanged(predictive.draws, predictive.shared)
    weights.begin()
    watched = [clean.each, _as_tensor(clean.log_probs), _as_tensor(clean.entropy), defence.sample.x, defence.sample.y]
    before = traces([*watched, *tensors])
    lending = copy.copy(defence)
    lending.predictive = copy.copy(predictive)
    with standard_settings(), global_state(name):
        yield lending
    if not weights.holds():
        raise ContractBreach(f"{name} changed the weights of the predictive")
    if traces([*watched, *tensors]) != before:
        raise ContractBreach(f"{name} changed the images, their labels or the clean predictions")


def _as_tensor(array: Any) -> Any:
    """A tensor that shares the memory of a numpy array."""
    import torch

    return torch.from_numpy(array)
