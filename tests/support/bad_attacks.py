"""Attacks that break one rule each; `WRONG` maps their names to the messages that must name the breach."""

from __future__ import annotations

import random
import time

import numpy as np
import torch

from bnnbench import Attack, Objective, hookimpl

WRONG = {
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


@hookimpl
def bnnbench_register(registry):
    for name, attack in ATTACKS.items():
        registry.attack(name, attack)
