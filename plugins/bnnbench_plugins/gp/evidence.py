"""Hyperparameters by the evidence of training data, and by predictions of points that are left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bnnbench_plugins.gp.dirichlet import Targets
from bnnbench_plugins.gp.kernels import Kernel, normal

SearchEnd = Literal["maximum", "edge", "early"]
"""The end of a search: at a maximum, at the edge of the range, or before either, by the number of iterations."""
FURTHEST = 300.0
"""Largest factor between a hyperparameter and its start."""
_ITERATIONS = 50
"""Largest number of iterations of L-BFGS."""
_SAMPLES = 200
"""Number of draws by which the probabilities of a point that is left out are estimated."""


def log_evidence(matrix: Tensor, targets: Targets) -> tuple[float, Tensor]:
    """The log density of all targets but for a constant, and its gradient (n, n) in the kernel matrix (n, n).

    With A = matrix + diag(noise), summed over classes: log N(t; 0, A), and (A^-1 t t^T A^-1 - A^-1) / 2. The gradient
    in this form takes half of the time that autograd takes for a Cholesky factor.
    """
    factor = torch.linalg.cholesky(matrix + torch.diag_embed(targets.noise.T))
    inverse = torch.cholesky_inverse(factor)
    values = targets.values.T[:, :, None]
    solved = inverse @ values
    value = -(values * solved).sum() / 2 - factor.diagonal(dim1=1, dim2=2).log().sum()
    return value.item(), ((solved @ solved.mT) - inverse).sum(0) / 2


def with_most_evidence(
    kernel_of: Callable[[Tensor], Kernel], start: Sequence[float], x: Tensor, targets: Targets
) -> tuple[list[float], SearchEnd]:
    """The positive hyperparameters of a kernel with the largest evidence, and where the search for them has ended.

    `kernel_of` gives the kernel from a tensor of hyperparameters; `start` are values to begin with. The logarithms of
    the hyperparameters move, by L-BFGS, within a factor of `FURTHEST` of their start.
    """
    from scipy.optimize import minimize

    def negative(logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.tensor(logarithms, dtype=x.dtype, device=x.device, requires_grad=True)
        with torch.enable_grad():
            matrix = kernel_of(leaf.exp()).matrix(x, x)
            value, slope_of_matrix = log_evidence(matrix.detach(), targets)
            (slope,) = torch.autograd.grad(matrix, leaf, slope_of_matrix)
        return -value, -slope.cpu().numpy()

    begin = np.log(np.asarray(start, dtype=np.float64))
    room = math.log(FURTHEST)
    found = minimize(
        negative,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=[(value - room, value + room) for value in begin],
        options={"maxiter": _ITERATIONS},
    )
    inside = bool((np.abs(found.x - begin) < room - 1e-6).all())
    end: SearchEnd = "early" if not found.success else "maximum" if inside else "edge"
    return [float(value) for value in np.exp(found.x)], end


def left_out(matrix: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """The means and variances (n, classes) of the functions at each point, given the targets of all others.

    With A = matrix + diag(noise), for each class (Rasmussen and Williams 2006, Equation 5.12):

        mean = t - [A^-1 t] / [A^-1]_ii,   variance = 1 / [A^-1]_ii - noise
    """
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(matrix + torch.diag_embed(targets.noise.T)))
    precision = inverse.diagonal(dim1=1, dim2=2).T
    solved = (inverse @ targets.values.T[:, :, None])[:, :, 0].T
    return targets.values - solved / precision, (1 / precision - targets.noise).clamp_min(0)


def left_out_loss(matrix: Tensor, targets: Targets, labels: Tensor, generator: torch.Generator) -> float:
    """The mean negative log-likelihood of each label by the functions given all other targets, in nats."""
    mean, variance = left_out(matrix, targets)
    values = mean + variance.sqrt() * normal((_SAMPLES, *mean.shape), generator)
    of_labels = values.log_softmax(-1)[:, torch.arange(len(labels), device=labels.device), labels]
    return (math.log(_SAMPLES) - of_labels.logsumexp(0)).mean().item()
