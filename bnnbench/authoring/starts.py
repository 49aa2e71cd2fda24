"""The weights at which chains start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bnnbench.authoring.random_streams import chain_seeds, start_seed
from bnnbench.authoring.templates import fresh_network
from bnnbench.errors import ContractBreach

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from bnnbench.core.dataset import Data

Start = Literal["dispersed", "prior", "trained"]
"""How a chain starts."""
DISPERSION = 3.0
"""The factor of the initial weights of a dispersed start."""
STEPS, BATCH, RATE, NOISE = 500, 256, 0.01, 0.01
"""The training of a trained start: Adam's steps, their points and rate; the noise on its weights."""


def started(
    start: Start, network: nn.Module, data: Data | None, prior_scale: float, seed: int, chain: int
) -> dict[str, Tensor]:
    """The weights at which a chain starts, by name. They depend on the seed of the fit and the chain's number alone.

    `trained` needs the data. Raises `Incompatible` if the template `network` has no parameters.
    """
    import torch

    generator = torch.Generator().manual_seed(start_seed(seed, chain))
    fresh = fresh_network(network, chain_seeds(seed, chain)[0], keep_buffers=True)
    if start == "trained":
        if data is None:
            raise ContractBreach("start: trained needs the data: write record.start(network, data)")
        _train(fresh, data, prior_scale, generator)
    weights = {}
    for name, weight in fresh.named_parameters():
        noise = torch.randn(weight.shape, generator=generator).to(weight.device)
        initial = weight.detach()
        weights[name] = {
            "dispersed": initial * DISPERSION,
            "prior": prior_scale * noise,
            "trained": initial + NOISE * noise,
        }[start]
    return weights


def _train(network: nn.Module, data: Data, prior_scale: float, generator: torch.Generator) -> None:
    """Train the network in place by Adam on the log posterior, in eval mode: that of the density that is sampled."""
    import torch
    from torch.nn.functional import cross_entropy

    parameters = list(network.parameters())
    x, y = (tensor.to(parameters[0].device) for tensor in data.train)
    adam = torch.optim.Adam(parameters, lr=RATE)
    with torch.enable_grad():
        for _ in range(STEPS):
            chosen = torch.randint(len(x), (min(BATCH, len(x)),), generator=generator).to(x.device)
            prior = sum(weight.square().sum() for weight in parameters) / (2 * prior_scale**2 * len(x))
            adam.zero_grad()
            (cross_entropy(network(x[chosen]).float(), y[chosen]) + prior).backward()
            adam.step()


def described(start: Start) -> str:
    """A start in words for the posterior card; empty if R-hat means what it should."""
    if start != "trained":
        return ""
    return f"trained: each chain after {STEPS} steps of Adam from its own initial weights, with noise of {NOISE}"
