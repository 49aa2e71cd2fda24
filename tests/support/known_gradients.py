"""Linear classifiers of two classes whose input gradients are known."""

from __future__ import annotations

import numpy as np
import torch

import bnnbench as bb
from bnnbench.core.foreign import INDEPENDENT


def planted(gradients: np.ndarray, *, chains: int | None = None, images: int = 6) -> tuple[bb.Predictive, bb.Data]:
    """An ensemble whose draws' cross-entropies have these gradients (S, D) at all images, and its data.

    All images are the middle of the unit box, where both classes have the same logit, and have the label 0. Without a
    number of chains the draws are declared to be independent.
    """
    draws, inputs = gradients.shape
    weight = np.stack([-gradients, gradients], 1)
    bias = -0.5 * weight.sum(-1)
    lead = (chains or 1, draws // (chains or 1))
    diagnostics = {} if chains else {INDEPENDENT: "gradients that were planted"}
    arrays = {"weight": weight.reshape(*lead, 2, inputs), "bias": bias.reshape(*lead, 2)}
    predictive = bb.Predictive(torch.nn.Linear(inputs, 2).double(), bb.Draws(arrays, diagnostics=diagnostics))
    x, y = torch.full((images, inputs), 0.5, dtype=torch.float64), torch.zeros(images, dtype=torch.long)
    return predictive, bb.Data(train=(x, y), test=(x, y), classes=2)


def autoregressive(chains: int, draws: int, inputs: int, correlation: float, seed: int = 0) -> np.ndarray:
    """Chains of unit variance and mean zero, (chains * draws, inputs), whose neighbours have a correlation."""
    generator = np.random.default_rng(seed)
    state = generator.normal(size=(chains, inputs))
    made = []
    for _ in range(draws):
        state = correlation * state + np.sqrt(1 - correlation**2) * generator.normal(size=state.shape)
        made.append(state)
    return np.stack(made, 1).reshape(chains * draws, inputs)
