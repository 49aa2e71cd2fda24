"""One Pyro chain. This module imports Pyro: it is imported when a posterior is fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from pyro.infer.mcmc import HMC, MCMC
from torch import Tensor, nn
from torch.func import functional_call

from bnnbench import fast_products

if TYPE_CHECKING:
    from bnnbench import Data
    from bnnbench_plugins.markov_chain import Chain
    from bnnbench_plugins.pyro.hmc import PyroHMC


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


def run_chain(sampler: PyroHMC, network: nn.Module, data: Data, seed: int, chain: Chain) -> None:
    """Sample from the network's weights onward and fill in the chain. The global generator is left as it was."""
    start = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    kernel = _FixedLengthHMC(
        sampler.leapfrog_steps,
        potential_fn=negative_log_posterior(network, data, sampler.prior_scale),
        step_size=sampler.step_size,
        adapt_step_size=sampler.adapt_step_size,
        adapt_mass_matrix=sampler.adapt_mass_matrix,
        target_accept_prob=sampler.target_acceptance,
    )
    mcmc = MCMC(
        kernel,
        num_samples=sampler.per_chain * sampler.thin,
        warmup_steps=sampler.warmup,
        initial_params=start,
        disable_progbar=True,
        hook_fn=_recorder(sampler, chain),
    )
    # Pyro draws from torch's global generator.
    device = next(iter(start.values())).device
    with torch.random.fork_rng(devices=_cuda_devices(start)), fast_products(device):
        torch.manual_seed(seed)
        mcmc.run()


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


def _recorder(sampler: PyroHMC, chain: Chain) -> Callable[..., None]:
    """A hook that Pyro calls after every transition; the kernel's counters are gone once the run is over."""
    counted = {"transition": -1, "mean": 0.0, "diverged": 0}

    def note(kernel: _FixedLengthHMC, weights: dict[str, Tensor], stage: str, number: int) -> None:
        counted["transition"] += 1
        transition = int(counted["transition"])
        # Pyro starts its running mean anew after the warm-up; from two means the transition's own value follows.
        seen = transition + 1 if transition < sampler.warmup else transition - sampler.warmup + 1
        mean = kernel.mean_acceptance
        acceptance = mean * seen - (counted["mean"] * (seen - 1) if seen > 1 else 0.0)
        counted["mean"] = mean
        divergences = len(kernel._divergences)
        keep = chain.note(
            transition,
            acceptance=min(max(acceptance, 0.0), 1.0),
            diverging=divergences > counted["diverged"],
            leapfrog_steps=kernel.num_steps,
            step_size=float(kernel.step_size),
        )
        counted["diverged"] = divergences
        if keep:
            chain.kept.append({name: weight.detach().cpu().numpy().copy() for name, weight in weights.items()})

    return note


def _cuda_devices(weights: dict[str, Tensor]) -> list[torch.device]:
    return list({weight.device for weight in weights.values() if weight.device.type == "cuda"})
