"""Labels of classes as targets of a regression."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot


class Targets(NamedTuple):
    """Targets (n, classes) of latent functions, with the variances (n, classes) of their normal noise."""

    values: Tensor
    noise: Tensor


def dirichlet_targets(labels: Tensor, classes: int, concentration: float) -> Targets:
    """The targets of Dirichlet-based classification (Milios et al. 2018) for labels (n,).

    A label y is read as an observation of a Dirichlet distribution with concentrations c_k = concentration + 1(y = k).
    That is a normalised vector of gamma variables, exp(f_k) ~ Gamma(c_k, 1). Each is replaced by the lognormal
    variable of equal mean and variance, so that f_k has a normal noise (their Equations 6 and 7):

        noise_k = log(1 + 1 / c_k),   value_k = log c_k - noise_k / 2

    The probabilities of a function f are softmax(f), which does not depend on the mean over classes. That mean, which
    is the same for all labels, is subtracted, so that a prior of mean zero favours no probability.
    """
    observed = one_hot(labels, classes).to(torch.float64) + concentration
    noise = (1 + 1 / observed).log()
    values = observed.log() - noise / 2
    return Targets(values - values.mean(1, keepdim=True), noise)
