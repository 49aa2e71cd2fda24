"""Sample one chain with Pyro. The module imports Pyro, so it is imported only when a posterior is fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from pyro.infer.mcmc import HMC
from torch import Tensor, nn
from torch.func import functional_call

from bnnbench import fast_products
from bnnbench.authoring import check_gradient

if TYPE_CHECKING:
    from bnnbench import Data, Draws
    from bnnbench.authoring import Chain


class _FixedLengthHMC(HMC):
    """Pyro's HMC with a fixed number of leapfrog steps.

    Pyro's own class fixes the length of the trajectory, so that the number of steps changes as the step size adapts.
    """

    def __init__(self, leapfrog_steps: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._leapfrog_steps = leapfrog_steps

    @property
    def num_steps(self) -> int:
        """Leapfrog steps of each transition."""
        return self._leapfrog_steps

    @property
    def mean_acceptance(self) -> float:
        """Mean acceptance probability since the start of the warm-up or, after the warm-up, since its end."""
        return float(self._mean_accept_prob)


def sample(chain: Chain, leapfrog_steps: int, network: nn.Module, data: Data) -> Draws:
    """The draws of one chain, with their diagnostics (`authoring.Chain.draws`).

    Args:
        chain: the chain to fill.
        leapfrog_steps: leapfrog steps of each transition.
        network: the template of the network.
        data: the data; only the training sample is used.

    torch's global random state is restored afterwards. Raises `Incompatible` if the network has no parameters,
    `NetworkError` if it gives no gradient.
    """
    sampler = chain.sampler
    sampled, weights, seed = chain.start(network)
    device = next(iter(weights.values())).device
    check_gradient(sampled, data.train[0][:2].to(device))
    kernel = _FixedLengthHMC(
        leapfrog_steps,
        potential_fn=negative_log_posterior(sampled, data, sampler.prior_scale),
        step_size=sampler.step_size,
        adapt_step_size=sampler.adapts_step_size,
        adapt_mass_matrix=sampler.adapt_mass_matrix,
        target_accept_prob=sampler.target_acceptance,
    )
    kernel.initial_params = weights
    # Pyro draws its random numbers from torch's global generator.
    with torch.random.fork_rng(devices=_cuda_devices(weights)), fast_products(device):
        torch.manual_seed(seed)
        kernel.setup(sampler.warmup)
        record = _recorder(kernel, chain)
        # Pyro's `MCMC` class would keep all transitions in memory, including those that `thin` drops.
        for transition in range(sampler.transitions):
            weights = kernel.sample(weights)
            if record(transition):
                chain.kept.append({name: weight.detach().cpu().numpy().copy() for name, weight in weights.items()})
    return chain.draws(sampled, data)


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


def _recorder(kernel: _FixedLengthHMC, chain: Chain) -> Callable[[int], bool]:
    """A function that records a transition of the kernel in the chain, and returns whether its weights are to be kept.

    Pyro gives a running mean of the acceptance probability and a growing list of divergences. The values of one
    transition are the differences from those before it.
    """
    before, warmup = {"mean": 0.0, "diverged": 0}, chain.sampler.warmup

    def record(transition: int) -> bool:
        # Pyro restarts its running mean after the warm-up.
        averaged = transition + 1 if transition < warmup else transition - warmup + 1
        mean = kernel.mean_acceptance
        acceptance = mean * averaged - (before["mean"] * (averaged - 1) if averaged > 1 else 0.0)
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

    return record


def _cuda_devices(weights: dict[str, Tensor]) -> list[torch.device]:
    return list({weight.device for weight in weights.values() if weight.device.type == "cuda"})
