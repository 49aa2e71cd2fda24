"""Sample one chain with BlackJAX. The module imports JAX, so it is imported only when a posterior is fitted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax.numpy as jnp

from bnnbench import Draws, Incompatible
from bnnbench.authoring import Chain, ChainLoop, JaxNetwork
from bnnbench_plugins.blackjax.engine import MicrocanonicalEngine
from bnnbench_plugins.numpyro.jax_settings import check_platform, standard_settings
from bnnbench_plugins.numpyro.sampling import CHECKED, check_against_torch, negative_log_posterior

if TYPE_CHECKING:
    from torch import nn

    from bnnbench import Data


def sample(chain: Chain, adjusted: bool, network: nn.Module, data: Data) -> Draws:
    """The draws of one chain, with their diagnostics (`authoring.Chain.draws`).

    They do not depend on the settings of JAX in the host program. Raises `Incompatible` if the network has fewer than
    two weights or cannot be run in JAX with the same logits, `BnnbenchError` if JAX cannot use its platform.
    """
    with sampling(chain, adjusted, network, data) as (loop, sampled):
        loop.run()
        return chain.draws(sampled, data)


@contextlib.contextmanager
def sampling(chain: Chain, adjusted: bool, network: nn.Module, data: Data) -> Iterator[tuple[ChainLoop, nn.Module]]:
    """The loop of a chain at its start, and the network that it samples, under the settings that it runs under."""
    check_platform()
    with standard_settings():
        sampled, start, _ = chain.start(network, data)
        if sum(weight.numel() for weight in start.values()) < 2:
            raise Incompatible("the microcanonical dynamics need a network with two weights or more")
        jax_network = JaxNetwork(sampled)
        check_against_torch(jax_network, sampled, data.train[0][:CHECKED])
        buffers = {name: buffer.cpu().numpy() for name, buffer in sampled.named_buffers()}
        potential = negative_log_posterior(jax_network, buffers, chain.sampler.prior_scale)
        # The data are arguments of the compiled program, because XLA would try to fold constants of this size.
        inputs = (jnp.asarray(data.train[0].numpy()), jnp.asarray(data.train[1].numpy()))
        weights = {name: weight.cpu().numpy() for name, weight in start.items()}
        yield ChainLoop(chain, MicrocanonicalEngine(potential, weights, inputs, adjusted)), sampled
