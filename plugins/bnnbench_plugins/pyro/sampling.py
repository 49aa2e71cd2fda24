"""Sample one chain with Pyro. The module imports Pyro, so it is imported only when a posterior is fitted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call

from bnnbench import fast_products
from bnnbench.authoring import ChainLoop, check_gradient
from bnnbench_plugins.pyro.engine import PyroEngine

if TYPE_CHECKING:
    from bnnbench import Data, Draws
    from bnnbench.authoring import Chain


def sample(chain: Chain, network: nn.Module, data: Data) -> Draws:
    """The draws of one chain, with their diagnostics (`authoring.Chain.draws`).

    Args:
        chain: the chain to fill.
        network: the template of the network.
        data: the data; only the training sample is used.

    torch's global random state is restored afterwards. Raises `Incompatible` if the network has no parameters,
    `NetworkError` if it gives no gradient.
    """
    with sampling(chain, network, data) as (loop, sampled):
        loop.run()
    return chain.draws(sampled, data)


@contextlib.contextmanager
def sampling(chain: Chain, network: nn.Module, data: Data) -> Iterator[tuple[ChainLoop, nn.Module]]:
    """The loop of a chain at its start, and the network that it samples, under the settings that it runs under."""
    sampled, weights, _ = chain.start(network, data)
    device = next(iter(weights.values())).device
    check_gradient(sampled, data.train[0][:2].to(device))
    potential = negative_log_posterior(sampled, data, chain.sampler.prior_scale)
    # Pyro draws its random numbers from torch's global generator.
    with torch.random.fork_rng(devices=_cuda_devices(weights)), fast_products(device):
        yield ChainLoop(chain, PyroEngine(potential, weights)), sampled


def negative_log_posterior(network: nn.Module, data: Data, prior_scale: float) -> Callable[[dict[str, Tensor]], Tensor]:
    """The sampler's potential: a function from weights to their negative log posterior density, up to a constant.

    The likelihood is categorical, summed over the training points; the priors are independent normals of mean 0 and
    standard deviation `prior_scale`.
    """
    device = next(network.parameters()).device
    x, y = (tensor.to(device) for tensor in data.train)
    precision = prior_scale**-2

    def potential(weights: dict[str, Tensor]) -> Tensor:
        # A network may return other floats than its weights are, and Pyro would take those for the weights too.
        logits = functional_call(network, weights, (x,)).to(x.dtype)
        nll = nn.functional.cross_entropy(logits, y, reduction="sum")
        return nll + 0.5 * precision * sum(weight.square().sum() for weight in weights.values())

    return potential


def _cuda_devices(weights: dict[str, Tensor]) -> list[torch.device]:
    return list({weight.device for weight in weights.values() if weight.device.type == "cuda"})
