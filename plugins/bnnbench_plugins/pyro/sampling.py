"""A Pyro chain. This module imports Pyro: it is imported when a posterior is fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from pyro.infer.mcmc import HMC
from torch import Tensor, nn
from torch.func import functional_call

from bnnbench import fast_products

if TYPE_CHECKING:
    from bnnbench import Data, Draws
    from bnnbench_plugins.markov_chain import Chain


class _FixedLengthHMC(HMC):
    """Pyro keeps the trajectory's length and so changes the number of steps as the step size adapts; this does not."""

    def __init__(self, leapfrog_steps: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._leapfrog_steps = leapfrog_steps

    @property
    def num_steps(self) -> int:
        return self._leapfrog_steps

    @property
    def mean_acceptance(self) -> float:
        """Mean acceptance probability since the warm-up began, or ended."""
        return float(self._mean_accept_prob)


def sample(chain: Chain, leapfrog_steps: int, network: nn.Module, data: Data) -> Draws:
    """The draws of one chain. The global generator is left as it was."""
    sampler = chain.sampler
    sampled, weights, seed = chain.start(network)
    kernel = _FixedLengthHMC(
        leapfrog_steps,
        potential_fn=negative_log_posterior(sampled, data, sampler.prior_scale),
        step_size=sampler.step_size,
        adapt_step_size=sampler.adapts_step_size,
        adapt_mass_matrix=sampler.adapt_mass_matrix,
        target_accept_prob=sampler.target_acceptance,
    )
    kernel.initial_params = weights
    device = next(iter(weights.values())).device
    # Pyro draws from torch's global generator.
    with torch.random.fork_rng(devices=_cuda_devices(weights)), fast_products(device):
        torch.manual_seed(seed)
        kernel.setup(sampler.warmup)
        note = _recorder(kernel, chain)
        # Pyro's `MCMC` would keep every transition, those that `thin` drops too: gigabytes for a long chain.
        for transition in range(sampler.transitions):
            weights = kernel.sample(weights)
            if note(transition):
                chain.kept.append({name: weight.detach().cpu().numpy().copy() for name, weight in weights.items()})
    return chain.draws(sampled)


def negative_log_posterior(network: nn.Module, data: Data, prior_scale: float) -> Callable[[dict[str, Tensor]], Tensor]:
    """The negative log density of weights given the training data, up to a constant: the sampler's potential."""
    device = next(network.parameters()).device
    x, y = (tensor.to(device) for tensor in data.train)
    precision = prior_scale**-2

    def potential(weights: dict[str, Tensor]) -> Tensor:
        logits = functional_call(network, weights, (x,))
        nll = nn.functional.cross_entropy(logits, y, reduction="sum")
        return nll + 0.5 * precision * sum(weight.square().sum() for weight in weights.values())

    return potential


def _recorder(kernel: _FixedLengthHMC, chain: Chain) -> Callable[[int], bool]:
    """What notes each transition in the chain, and says whether its weights are to be kept."""
    before, warmup = {"mean": 0.0, "diverged": 0}, chain.sampler.warmup

    def note(transition: int) -> bool:
        # Pyro starts its running mean anew after the warm-up; from two means the transition's own value follows.
        seen = transition + 1 if transition < warmup else transition - warmup + 1
        mean = kernel.mean_acceptance
        acceptance = mean * seen - (before["mean"] * (seen - 1) if seen > 1 else 0.0)
        divergences = len(kernel._divergences)
        diverging = divergences > before["diverged"]
        before["mean"], before["diverged"] = mean, divergences
        return chain.note(
            transition,
            acceptance=min(max(acceptance, 0.0), 1.0),
            diverging=diverging,
            leapfrog_steps=kernel.num_steps,
            step_size=float(kernel.step_size),
        )

    return note


def _cuda_devices(weights: dict[str, Tensor]) -> list[torch.device]:
    return list({weight.device for weight in weights.values() if weight.device.type == "cuda"})
