"""The potential of a network's posterior in JAX. The module imports JAX: import it only when a posterior is fitted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import torch

from bnnbench import Incompatible
from bnnbench.authoring import JaxNetwork
from bnnbench_plugins.numpyro.programs import identified

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench import Data

Weights = Mapping[str, jax.Array]
"""`state_dict` name -> weight."""
Potential = Callable[[Weights], jax.Array]
"""The negative log density of weights, up to a constant."""
Inputs = tuple[jax.Array, jax.Array, np.ndarray]
"""What a potential depends on beside the weights: training inputs, labels, and half the precision of the prior."""
CHECKED = 8
"""Number of training inputs at which the network's logits in JAX are compared with those in torch."""


def inputs(data: Data, prior_scale: float, times: float = 1.0) -> Inputs:
    """What the potential of a posterior depends on beside the weights.

    `times` is how often each point of a minibatch counts.

    They are arguments of the compiled programs: XLA would try to fold constants of this size, and one program serves
    all priors.
    """
    wider = prior_scale * math.sqrt(times)
    with np.errstate(all="ignore"):
        # 1 / (2 prior_scale^2), rounded in this way because all draws in stores were made so.
        half_precision = np.asarray(np.float32(times) / np.float32(2 * wider**2))
    return jnp.asarray(data.train[0].numpy()), jnp.asarray(data.train[1].numpy()), half_precision


def negative_log_posterior(network: nn.Module, data: Data) -> Callable[..., Potential]:
    """A function from `inputs` to the potential, or from those of a minibatch and how often each of its points counts.

    The potential is the negative log density of weights, up to a constant: a categorical likelihood, summed over the
    training points, and independent normal priors of mean 0 and standard deviation `prior_scale`. The buffers are those
    of the network. Raises `Incompatible` if it cannot be run in JAX with the same logits.
    """
    in_jax, buffers = JaxNetwork(network), arrays_of(network.named_buffers())
    check_against_torch(in_jax, network, data.train[0][:CHECKED])

    def potential_of(x: jax.Array, y: jax.Array, half_precision: jax.Array, times: float = 1.0) -> Potential:
        def potential(weights: Weights) -> jax.Array:
            log_probs = jax.nn.log_softmax(in_jax({**buffers, **weights}, x))
            nll = -times * jnp.take_along_axis(log_probs, y[:, None], 1).sum()
            return nll + sum(jnp.square(weight).sum() for weight in weights.values()) * half_precision

        return potential

    return potential_of


def check_against_torch(jax_network: JaxNetwork, network: nn.Module, x: Tensor) -> None:
    """Raise `Incompatible` unless both networks give the same logits (N, K) at x, to 1e-3 of the largest.

    torch.fx records the operations on tensors, but not every effect of Python code between them (for example a tensor
    that is overwritten under another name). Without this check the posterior of another network could be sampled.
    """
    with torch.no_grad():
        expected = network(x.to(next(network.parameters()).device)).float().cpu().numpy()
    arrays = arrays_of([*network.named_parameters(), *network.named_buffers()])
    arguments = arrays, jnp.asarray(x.numpy())
    logits = np.asarray(identified(jax_network, arguments)[0](*arguments))
    if logits.shape != expected.shape or not np.abs(logits - expected).max() <= 1e-3 * max(1.0, np.abs(expected).max()):
        raise Incompatible(
            f"{type(network).__name__} gives other logits in JAX: torch.fx does not record everything that it does"
        )


def arrays_of(named: Iterable[tuple[str, Tensor]]) -> dict[str, np.ndarray]:
    """Named tensors as arrays."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in named}
