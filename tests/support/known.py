"""Small ensembles and data that several test files share."""

from __future__ import annotations

import numpy as np
import torch

import bnnbench as bb

OBJECTIVES = ("predictive-nll", "expected-loss", "log-margin", "mean-logit", "mean-logit-margin")


def random_ensemble(
    *, draws: int = 7, inputs: int = 5, hidden: int = 8, classes: int = 3, scale: float = 1.0, seed: int = 0
) -> bb.Predictive:
    """An ensemble of float64 networks with random weights."""
    generator = np.random.default_rng(seed)
    network = torch.nn.Sequential(torch.nn.Linear(inputs, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, classes))
    weights = {
        name: scale * generator.normal(size=(draws, *tensor.shape)) for name, tensor in network.state_dict().items()
    }
    return bb.Predictive(network.double(), weights)


def random_inputs(
    *, images: int = 11, inputs: int = 5, classes: int = 3, seed: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Float64 inputs in the unit box with labels."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(images, inputs, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, classes, (images,), generator=generator)


def linear_predictive(weight: np.ndarray, bias: np.ndarray) -> bb.Predictive:
    """One draw of a linear classifier: logits = x weight^T + bias."""
    network = torch.nn.Linear(weight.shape[1], weight.shape[0])
    return bb.Predictive(network, {"weight": weight[None].astype("f4"), "bias": bias[None].astype("f4")})


def small_data(*, images: int = 60, inputs: int = 4, classes: int = 2, seed: int = 0) -> bb.Data:
    """Points in the unit box labelled by their largest of `classes` linear scores."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(size=(2 * images, inputs)).astype("f4")
    scores = (x - 0.5) @ generator.normal(size=(inputs, classes))
    y = scores.argmax(-1)
    return bb.Data(train=(x[:images], y[:images]), test=(x[images:], y[images:]), classes=classes)
