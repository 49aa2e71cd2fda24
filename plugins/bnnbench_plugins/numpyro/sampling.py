"""Sample one chain with an engine in JAX. The module imports JAX, so it is imported only when a posterior is fitted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from bnnbench import Draws
from bnnbench.authoring import Chain, ChainLoop, Engine, fresh_network
from bnnbench_plugins.numpyro.jax_settings import check_platform, standard_settings
from bnnbench_plugins.numpyro.potential import Inputs, Potential, arrays_of, inputs, negative_log_posterior

if TYPE_CHECKING:
    from torch import nn

    from bnnbench import Data

MakeEngine = Callable[[Callable[..., Potential], dict[str, np.ndarray], Inputs], Engine]
"""Makes the engine of a chain from a function of inputs that gives the potential, the first weights, and the inputs."""


def sample(chain: Chain, engine: MakeEngine, network: nn.Module, data: Data) -> Draws:
    """The draws of one chain, with their diagnostics (`authoring.Chain.draws`).

    They do not depend on the settings of JAX in the host program.

    Args:
        chain: the chain to fill.
        engine: makes the engine of the chain.
        network: the template of the network.
        data: the data; only the training sample is used.

    Raises `Incompatible` if the network has no parameters, or cannot be run in JAX with the same logits, and
    `BnnbenchError` if JAX cannot use its platform.
    """
    with sampling(chain, engine, network, data) as (loop, sampled):
        loop.run()
        return chain.draws(sampled, data)


@contextlib.contextmanager
def sampling(chain: Chain, engine: MakeEngine, network: nn.Module, data: Data) -> Iterator[tuple[ChainLoop, nn.Module]]:
    """The loop of a chain at its start, and the network that it samples, under the settings that it runs under."""
    check_platform()
    with standard_settings():
        sampled, start, _ = chain.start(network, data)
        potential = negative_log_posterior(sampled, data)
        of_data = inputs(data, chain.sampler.prior_scale)
        yield ChainLoop(chain, engine(potential, arrays_of(start.items()), of_data)), sampled


def check(network: nn.Module, data: Data) -> None:
    """Raise what `sample` would raise for a network before its first transition."""
    check_platform()
    with standard_settings():
        negative_log_posterior(fresh_network(network, 0, keep_buffers=True), data)
