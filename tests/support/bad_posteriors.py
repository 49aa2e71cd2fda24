"""Posteriors that break one rule each; `WRONG` maps their names to the messages that must name the breach."""

from __future__ import annotations

import numpy as np
import torch

import bnnbench as bb
from bnnbench import Draws, Posterior, hookimpl, no_progress

WRONG = {
    "no-draws": "returned list, not Draws",
    "few-draws": "returned 2 draws, its parameter says 4",
    "nan-draws": "returned draws that are not finite",
    "network-changing": "changed the network",
    "data-changing": "changed the data",
    "label-shuffling": "changed the data",
    "gradient-forbidding": "changed torch's gradient mode for everybody",
    "torch-seeding": "drew from the global random state of torch",
    "stuck": "degenerate",
    "all-diverged": "degenerate",
    "nan-logits": "NanLogits gives log-probabilities that are not finite",
    "flat-logits": "FlatLogits gives logits of shape",
}


def weights(network, draws, generator=None):
    """Draws of a network's own shapes."""
    generator = generator or torch.Generator().manual_seed(0)
    return {
        name: torch.randn(1, draws, *value.shape, generator=generator) for name, value in network.state_dict().items()
    }


class Sampler(Posterior):
    """Standard normal weights."""

    draws: int = 4

    def fit(self, network, data, *, seed, progress=no_progress):
        return Draws(weights(network, self.draws))


class NoDraws(Sampler):
    """A list."""

    def fit(self, network, data, *, seed, progress=no_progress):
        return []


class FewDraws(Sampler):
    """Fewer than it says."""

    def fit(self, network, data, *, seed, progress=no_progress):
        return Draws(weights(network, 2))


class NanDraws(Sampler):
    """Not a number."""

    def fit(self, network, data, *, seed, progress=no_progress):
        return Draws({name: value * float("nan") for name, value in weights(network, self.draws).items()})


class NetworkChanging(Sampler):
    """Trains the template itself."""

    def fit(self, network, data, *, seed, progress=no_progress):
        with torch.no_grad():
            next(network.parameters()).add_(1)
        return Draws(weights(network, self.draws))


class DataChanging(Sampler):
    """Standardises in place."""

    def fit(self, network, data, *, seed, progress=no_progress):
        data.train[0].sub_(0.25)
        return Draws(weights(network, self.draws))


class LabelShuffling(Sampler):
    """Shuffles in place, behind torch's back."""

    def fit(self, network, data, *, seed, progress=no_progress):
        np.random.default_rng(seed).shuffle(data.train[1].numpy())
        return Draws(weights(network, self.draws))


class GradientForbidding(Sampler):
    """Switches gradients off for the whole process."""

    def fit(self, network, data, *, seed, progress=no_progress):
        torch.set_grad_enabled(False)
        return Draws(weights(network, self.draws))


class TorchSeeding(Sampler):
    """Seeds the whole process."""

    def fit(self, network, data, *, seed, progress=no_progress):
        torch.manual_seed(seed)
        return Draws(weights(network, self.draws))


class Stuck(Sampler):
    """One and the same draw."""

    def fit(self, network, data, *, seed, progress=no_progress):
        return Draws({name: value[:, :1].expand_as(value) for name, value in weights(network, self.draws).items()})


class AllDiverged(Sampler):
    """Every transition has diverged."""

    def fit(self, network, data, *, seed, progress=no_progress):
        return Draws(weights(network, self.draws), diagnostics={"divergences": np.array([self.draws])})


class NanLogits(bb.Predictive):
    """Not a number."""

    def logits(self, x, draws=slice(None)):
        return super().logits(x, draws) * float("nan")


class FlatLogits(bb.Predictive):
    """The mean over draws, where each draw's are asked for."""

    def logits(self, x, draws=slice(None)):
        return super().logits(x, draws).mean(0)


class NanSampler(Sampler):
    """Of a predictive that is not finite."""

    def predictive(self, network, draws):
        return NanLogits(network, draws)


class FlatSampler(Sampler):
    """Of a predictive of the wrong shape."""

    def predictive(self, network, draws):
        return FlatLogits(network, draws)


POSTERIORS = {
    "no-draws": NoDraws,
    "few-draws": FewDraws,
    "nan-draws": NanDraws,
    "network-changing": NetworkChanging,
    "data-changing": DataChanging,
    "label-shuffling": LabelShuffling,
    "gradient-forbidding": GradientForbidding,
    "torch-seeding": TorchSeeding,
    "stuck": Stuck,
    "all-diverged": AllDiverged,
    "nan-logits": NanSampler,
    "flat-logits": FlatSampler,
}


@hookimpl
def bnnbench_register(registry):
    for name, posterior in POSTERIORS.items():
        registry.posterior(name, posterior)
