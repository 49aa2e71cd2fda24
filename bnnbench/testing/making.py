"""What canaries are made of: linear margins, the models that have them, and inputs with labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bnnbench.core.attack import Attack
from bnnbench.core.dataset import Data
from bnnbench.core.predictive import Predictive
from bnnbench.core.threat import Threat
from bnnbench.testing import networks
from bnnbench.testing.canary import Canary

Attacks = Mapping[str, str | Attack]
"""Attacks by label."""
INPUTS, IMAGES, EPSILON = 8, 100, 0.1
SOUND: Attacks = {name: name for name in ("fgsm", "pgd", "standard")}
"""Sound attacks, where the model is what is broken."""
ONE: Attacks = {"pgd": "pgd"}
"""A sound attack on smooth losses, where the model makes it fail."""


def problem(seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The weights of a margin (INPUTS,) that is zero in the middle of the box, and inputs (IMAGES, INPUTS)."""
    rng = np.random.default_rng([seed, 0])
    weight = rng.normal(size=INPUTS)
    return 8 * weight / np.linalg.norm(weight), rng.uniform(size=(IMAGES, INPUTS))


def score_draws(weights: NDArray[Any], prefix: str = "") -> dict[str, NDArray[Any]]:
    """The draws of `Scores` whose margins have weights (INPUTS,), or (S, INPUTS) for S draws."""
    half = np.atleast_2d(weights) / 2
    weight = np.stack([-half, half], 1)
    return {f"{prefix}weight": weight, f"{prefix}bias": -0.5 * weight.sum(-1)}


def drawn(network: nn.Module, **draws: NDArray[Any]) -> Predictive:
    """The predictive of draws (S, *weight), in float32."""
    return Predictive(network, {name: array.astype("f4") for name, array in draws.items()})


def linear_model(weights: NDArray[Any]) -> Predictive:
    """Linear classifiers whose margins have weights (INPUTS,), or (S, INPUTS) for S draws."""
    return drawn(networks.Scores(INPUTS), **score_draws(weights))


def waves(weight: NDArray[Any], amplitudes: list[float], seed: int) -> Predictive:
    """Linear classifiers of one margin, each with a wave of its amplitude and of phases of its own."""
    phases = np.random.default_rng([seed, 2]).uniform(0, 2 * np.pi, size=(len(amplitudes), INPUTS))
    scores = score_draws(np.stack([weight] * len(amplitudes)), "scores.")
    return drawn(networks.Wave(INPUTS), amplitude=np.array(amplitudes), phase=phases, **scores)


def bands() -> Predictive:
    """The two classes of `Bands`."""
    return drawn(networks.Bands(), scale=np.array([5.0]))


def in_bands(seed: int) -> NDArray[Any]:
    """Inputs (IMAGES, 1) near the middle of bands, far enough from the ends of the box."""
    rng = np.random.default_rng([seed, 1])
    return rng.integers(3, 8, size=(IMAGES, 1)) / 10 + rng.uniform(-0.03, 0.03, size=(IMAGES, 1))


def labels(model: Predictive, x: NDArray[Any]) -> NDArray[Any]:
    """The predicted classes (N,)."""
    return model.log_probs(torch.from_numpy(x.astype("f4"))).argmax(-1).numpy()


def canary(
    name: str,
    checks: tuple[str, ...],
    model: Any,
    x: NDArray[Any],
    attacks: Attacks,
    *,
    y: NDArray[Any] | None = None,
    threats: tuple[Threat, ...] = (Threat(epsilon=EPSILON),),
    exact: NDArray[np.bool_] | None = None,
) -> Canary:
    """A canary with inputs x (N, *shape). By default the labels are those that the model predicts."""
    data = Data(test=(x.astype("f4"), labels(model, x) if y is None else y), classes=2)
    return Canary(name, checks, model, data, threats, attacks, exact)
