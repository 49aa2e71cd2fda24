"""Sample one chain with NumPyro. The module imports JAX, so it is imported only when a posterior is fitted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import torch

from bnnbench import Draws, Incompatible
from bnnbench.authoring import Chain, ChainLoop, JaxNetwork, fresh_network
from bnnbench_plugins.numpyro.engine import NumPyroEngine, Potential, Weights
from bnnbench_plugins.numpyro.jax_settings import check_platform, standard_settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench import Data

CHECKED = 8
"""Number of training inputs at which the network's logits in JAX are compared with those in torch."""


def sample(chain: Chain, max_tree_depth: int | None, network: nn.Module, data: Data) -> Draws:
    """The draws of one chain, with their diagnostics (`authoring.Chain.draws`).

    They do not depend on the settings of JAX in the host program.

    Args:
        chain: the chain to fill.
        max_tree_depth: that of the no-U-turn sampler; None for HMC.
        network: the template of the network.
        data: the data; only the training sample is used.

    Raises `Incompatible` if the network has no parameters, or cannot be run in JAX with the same logits, and
    `BnnbenchError` if JAX cannot use its platform.
    """
    with sampling(chain, max_tree_depth, network, data) as (loop, sampled):
        loop.run()
        return chain.draws(sampled, data)


@contextlib.contextmanager
def sampling(
    chain: Chain, max_tree_depth: int | None, network: nn.Module, data: Data
) -> Iterator[tuple[ChainLoop, nn.Module]]:
    """The loop of a chain at its start, and the network that it samples, under the settings that it runs under."""
    check_platform()
    with standard_settings():
        # The data are arguments of the compiled program, because XLA would try to fold constants of this size.
        inputs = (jnp.asarray(data.train[0].numpy()), jnp.asarray(data.train[1].numpy()))
        sampled, start, _ = chain.start(network, data)
        jax_network = JaxNetwork(sampled)
        check_against_torch(jax_network, sampled, data.train[0][:CHECKED])
        potential = negative_log_posterior(jax_network, _arrays(sampled.named_buffers()), chain.sampler.prior_scale)
        yield ChainLoop(chain, NumPyroEngine(potential, _arrays(start.items()), inputs, max_tree_depth)), sampled


def check(network: nn.Module, data: Data) -> None:
    """Raise what `sample` would raise for a network before its first transition."""
    check_platform()
    with standard_settings():
        sampled = fresh_network(network, 0, keep_buffers=True)
        check_against_torch(JaxNetwork(sampled), sampled, data.train[0][:CHECKED])


def negative_log_posterior(
    network: JaxNetwork, buffers: dict[str, np.ndarray], prior_scale: float
) -> Callable[..., Potential]:
    """A function from training inputs (N, *shape) and labels (N,) to the negative log density of weights.

    The density is that of the posterior, up to a constant: a categorical likelihood, summed over the training points,
    and independent normal priors of mean 0 and standard deviation `prior_scale`.
    """

    def potential_of(x: jax.Array, y: jax.Array) -> Potential:
        def potential(weights: Weights) -> jax.Array:
            log_probs = jax.nn.log_softmax(network({**buffers, **weights}, x))
            nll = -jnp.take_along_axis(log_probs, y[:, None], 1).sum()
            return nll + sum(jnp.square(weight).sum() for weight in weights.values()) / (2 * prior_scale**2)

        return potential

    return potential_of


def check_against_torch(jax_network: JaxNetwork, network: nn.Module, x: Tensor) -> None:
    """Raise `Incompatible` unless both networks give the same logits (N, K) at x, to 1e-3 of the largest.

    torch.fx records the operations on tensors, but not every effect of Python code between them (for example a tensor
    that is overwritten under another name). Without this check the posterior of another network could be sampled.
    """
    with torch.no_grad():
        expected = network(x.to(next(network.parameters()).device)).float().cpu().numpy()
    arrays = _arrays([*network.named_parameters(), *network.named_buffers()])
    logits = np.asarray(jax.jit(jax_network)(arrays, jnp.asarray(x.numpy())))
    if logits.shape != expected.shape or not np.abs(logits - expected).max() <= 1e-3 * max(1.0, np.abs(expected).max()):
        raise Incompatible(
            f"{type(network).__name__} gives other logits in JAX: torch.fx does not record everything that it does"
        )


def _arrays(named: Iterable[tuple[str, Tensor]]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in named}
