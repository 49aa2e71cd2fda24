"""Fit a posterior to a network and data, under the core's rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bnnbench.core import arguments
from bnnbench.core.computing import asking
from bnnbench.core.dataset import check_training
from bnnbench.core.draws import Draws, Progress
from bnnbench.core.posterior import Posterior
from bnnbench.core.progress_bar import shown_progress
from bnnbench.core.rules.checksums import traces
from bnnbench.core.rules.network_trial import check_network
from bnnbench.core.rules.preparation import prepared
from bnnbench.core.rules.purity import global_state
from bnnbench.core.seeds import check_seed
from bnnbench.core.standard_settings import standard_settings
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import ContractBreach

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data
    from bnnbench.core.predictive import Predictive


@arguments.told_names
def fit(
    posterior: Posterior,
    network: nn.Module,
    data: Data,
    *,
    seed: int = 0,
    device: str = "auto",
    progress: bool | Progress = False,
) -> Predictive:
    """Fit the posterior of the network's weights given the training data, and return its predictive.

    The network is a template: its weights do not matter and are not changed. `device` is a torch device, or `auto` for
    CUDA where there is one; samplers in JAX follow it. `progress` is True for a bar, or a callback `progress(done,
    total, note)`. The same seed (uint32) gives what a benchmarks file gives at that seed, to the bit on a CPU where the
    threads and the visible cores are the same. The predictive has the box of the data. Raises `ContractBreach` if the
    posterior returns draws that are not finite or not as many as it said, changes the network or the data, or draws
    from a global random state; `NetworkError` if the network is no fixed function from inputs to logits; `InvalidData`
    if there are no training data; `ValueError` for a device that is not there, `TypeError` for arguments of another
    kind.
    """
    with asking(device=str(device)):
        return fitted(posterior, network, data, check_seed(seed), device, progress)


def fitted(
    posterior: Posterior, network: nn.Module, data: Data, seed: int, device: str, progress: bool | Progress = False
) -> Predictive:
    """What `fit` returns, where a device has been asked for before: that of the network may have followed from it."""
    _check_arguments(posterior, network, data)
    template = prepared(network, device)
    template.bnnbench_shape = data.shape  # type: ignore[assignment]
    check_network(template, data)
    with shown_progress(progress, type(posterior).__name__) as report:
        draws = by_rules(posterior, template, data, lambda: posterior.fit(template, data, seed=seed, progress=report))
    check_draws(posterior, draws)
    with standard_settings():
        predictive = posterior.predictive(template, draws)
    predictive.fitted_by, predictive.bounds = posterior, data.bounds
    return predictive


def _check_arguments(posterior: object, network: object, data: object) -> None:
    """Raise `TypeError` or `InvalidData` unless these are a posterior, a module, and data with a training sample."""
    from torch import nn

    from bnnbench.core.dataset import Data

    arguments.instance_of(
        posterior, Posterior, argument="posterior", meant="a posterior, such as bnnbench.posterior('sgd')"
    )
    module = "a torch.nn.Module, such as bnnbench.network('fc').build(data)"
    arguments.instance_of(network, nn.Module, argument="network", meant=module)
    given = arguments.instance_of(
        data, Data, argument="data", meant="Data, such as bnnbench.dataset('half-moons').load(seed=0)"
    )
    check_training(given)


def by_rules(posterior: Posterior, template: nn.Module, data: Data, fit: Callable[[], Draws]) -> Draws:
    """What `fit` returns; raises `ContractBreach` if it changes what it was handed or draws from a global state."""
    given = {
        "the network that it was given": (*template.parameters(), *template.buffers()),
        "the data that it was given": (*(data.train or ()), *data.test),
    }
    before = {what: traces(tensors) for what, tensors in given.items()}
    with standard_settings(), global_state(name_of(posterior)):
        draws = fit()
    for what, tensors in given.items():
        if traces(tensors) != before[what]:
            raise ContractBreach(f"{name_of(posterior)} changed {what}")
    return draws


def check_draws(posterior: Posterior, draws: object, expected: int | None = None) -> None:
    """Raise `ContractBreach` unless these are finite `Draws`, as many as the posterior's parameters say.

    `expected` draws are those of one chain. There may be fewer where the class says `draws_at_most`.
    """
    name = name_of(posterior)
    expected = expected or posterior.draws
    if not isinstance(draws, Draws):
        raise ContractBreach(f"{name} returned {type(draws).__name__}, not Draws")
    if len(draws) > expected or (len(draws) < expected and not posterior.draws_at_most):
        raise ContractBreach(f"{name} returned {len(draws)} draws, its parameter says {expected}")
    bad = [key for key, array in (draws.shared | draws.arrays).items() if not np.isfinite(array).all()]
    if bad:
        raise ContractBreach(f"{name} returned draws that are not finite: {', '.join(bad)}")


def name_of(posterior: Posterior) -> str:
    """How a breach of the rules by a posterior names it."""
    return f"posterior {name_in_messages(type(posterior))}"
