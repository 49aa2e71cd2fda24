"""Plugins that break one rule each; `WRONG` maps their names to the messages that must name the breach."""

from __future__ import annotations

import random
import time

import numpy as np
import torch

import bnnbench as bb
from bnnbench import Attack, Data, Dataset, Draws, Objective, Posterior, hookimpl, no_progress

WRONG = {
    "attack": {
        "moody": "gave two results for one seed",
        "numpys-state": "drew from the global random state of numpy",
        "pythons-state": "drew from the global random state of random",
        "torchs-state": "drew from the global random state of torch",
        "not-finite": "returned inputs that are not finite",
        "too-far": "left the linf ball of radius 0.05",
        "out-of-the-box": "left the box",
        "wrong-shape": r"returned \(",
        "wrong-dtype": "torch.float64, not",
        "in-place": "changed the inputs or labels",
        "weight-changing": "changed the weights",
        "weight-shuffling": "changed the weights",
        "default-changing": "changed torch's default dtype for everybody",
        "sparse": "of layout torch.sparse",
        "bad-objective": "NanObjective returned a value that is not a number",
        "flat-objective": r"FlatObjective returned a value of shape \(\), not",
    },
    "posterior": {
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
    },
    "dataset": {
        "labels-out-of-range": "label 5 .* with 2 classes",
        "nan-inputs": "are not finite",
        "no-data": "loaded no Data",
    },
}


class Moody(Attack):
    """Another answer each time."""

    def perturb(self, victim, x, y, threat, rng):
        return x.lerp(x.round(), min(threat.epsilon, 0.04)) if time.time_ns() // 1000 % 2 else x.clone()


class NumpysState(Attack):
    """Draws from numpy's global state."""

    def perturb(self, victim, x, y, threat, rng):
        return threat.project(x, x + threat.epsilon * float(np.random.rand()))  # noqa: NPY002


class PythonsState(Attack):
    """Draws from Python's global state."""

    def perturb(self, victim, x, y, threat, rng):
        return threat.project(x, x + threat.epsilon * random.random())


class TorchsState(Attack):
    """Draws from torch's global state."""

    def perturb(self, victim, x, y, threat, rng):
        return threat.project(x, x + threat.epsilon * torch.rand_like(x))


class NotFinite(Attack):
    """Not a number."""

    def perturb(self, victim, x, y, threat, rng):
        return x * float("nan")


class TooFar(Attack):
    """Beyond the ball."""

    def perturb(self, victim, x, y, threat, rng):
        return x + 2 * threat.epsilon * (0.5 - x).sign()


class OutOfTheBox(Attack):
    """Beyond the box."""

    def perturb(self, victim, x, y, threat, rng):
        return x - 5


class WrongShape(Attack):
    """Fewer images."""

    def perturb(self, victim, x, y, threat, rng):
        return x[:1]


class WrongDtype(Attack):
    """Twice the precision."""

    def perturb(self, victim, x, y, threat, rng):
        return x.double()


class InPlace(Attack):
    """Changes the data that it was given."""

    def perturb(self, victim, x, y, threat, rng):
        return x.mul_(0.999)


class WeightChanging(Attack):
    """Weakens its victim."""

    def perturb(self, victim, x, y, threat, rng):
        next(iter(victim._predictive.draws.values())).mul_(0.5)
        return x.clone()


class WeightShuffling(Attack):
    """The same numbers in other places, behind torch's back."""

    def perturb(self, victim, x, y, threat, rng):
        weights = next(iter(victim._predictive.draws.values())).numpy()
        weights[:] = weights[..., ::-1].copy()
        return x.clone()


class DefaultChanging(Attack):
    """Wants all in double precision, for everybody and for good."""

    def perturb(self, victim, x, y, threat, rng):
        torch.set_default_dtype(torch.float64)
        return x.clone()


class Sparse(Attack):
    """Of another layout."""

    def perturb(self, victim, x, y, threat, rng):
        return x.to_sparse()


class NanObjective(Objective):
    """Not a number."""

    def value(self, log_probs, y):
        return log_probs[0, :, 0] * float("nan")


class FlatObjective(Objective):
    """One number for all images."""

    def value(self, log_probs, y):
        return log_probs.sum()


class Nothing(Attack):
    """Stands still."""

    objective: Objective = NanObjective()

    def perturb(self, victim, x, y, threat, rng):
        value = victim.value(x, y, self.objective)
        return x + 0 * value.view(-1, *[1] * (x.ndim - 1))


class Still(Nothing):
    """Stands still."""

    objective: Objective = FlatObjective()


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


def sample(labels):
    """Points in the box."""
    x = torch.rand(len(labels), 2, generator=torch.Generator().manual_seed(0)) / 2 + 0.25
    return x, torch.tensor(labels)


class LabelsOutOfRange(Dataset):
    """A label 5 of two classes."""

    def load(self, seed):
        return Data(train=sample([0, 1] * 20), test=sample([0, 5] * 20), classes=2)


class NanInputs(Dataset):
    """Not a number."""

    def load(self, seed):
        x, y = sample([0, 1] * 20)
        return Data(train=(x * float("nan"), y), test=(x, y))


class NoData(Dataset):
    """A tuple."""

    def load(self, seed):
        return sample([0, 1] * 20), sample([0, 1] * 20)


ATTACKS = {
    "moody": Moody,
    "numpys-state": NumpysState,
    "pythons-state": PythonsState,
    "torchs-state": TorchsState,
    "not-finite": NotFinite,
    "too-far": TooFar,
    "out-of-the-box": OutOfTheBox,
    "wrong-shape": WrongShape,
    "wrong-dtype": WrongDtype,
    "in-place": InPlace,
    "weight-changing": WeightChanging,
    "weight-shuffling": WeightShuffling,
    "default-changing": DefaultChanging,
    "sparse": Sparse,
    "bad-objective": Nothing,
    "flat-objective": Still,
}
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
DATASETS = {"labels-out-of-range": LabelsOutOfRange, "nan-inputs": NanInputs, "no-data": NoData}


@hookimpl
def bnnbench_register(registry):
    for name, attack in ATTACKS.items():
        registry.attack(name, attack)
    for name, posterior in POSTERIORS.items():
        registry.posterior(name, posterior)
    for name, dataset in DATASETS.items():
        registry.dataset(name, dataset)
