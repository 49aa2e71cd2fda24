"""Covariances of activations of jointly normal variables.

For centred normal u and v with variances p and q and covariance c, the dual of an activation g is E[g(u) g(v)].
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

TERMS = 20
"""Number of odd terms of the series of `Smooth`. E[tanh(u)^2] misses 1e-8 at variance 1 of u, 5e-5 at variance 4, and
less than 2e-3 at variances up to 100."""
NODES = 100
"""Number of nodes of the quadrature of its coefficients."""
_SMALLEST = 1e-30
"""Smallest product of variances that is divided by: an input of zeros has no variance if there are no biases."""


class Activation(Protocol):
    """An activation and its dual."""

    def __call__(self, u: Tensor) -> Tensor:
        """The activation's values."""

    def dual(self, p: Tensor, q: Tensor, c: Tensor) -> Tensor:
        """E[g(u) g(v)] (n, m) for variances p (n,) and q (m,) and covariances c (n, m)."""

    def variance(self, p: Tensor) -> Tensor:
        """E[g(u)^2] (n,) for variances p (n,)."""


@dataclass(frozen=True)
class Rectified:
    """The activation max(u, 0) + slope * min(u, 0): relu with slope 0, else leaky relu.

    With the angle t = arccos(c / sqrt(p q)), the dual of relu is the arc-cosine kernel of order 1 (Cho and Saul 2009):

        E[relu(u) relu(v)] = sqrt(p q) / (2 pi) * (sin t + (pi - t) cos t)

    Since E[relu(u) v] = c / 2, leaky relu = (1 - slope) relu + slope * identity has the dual

        (1 - slope)^2 E[relu(u) relu(v)] + slope * c
    """

    slope: float = 0.0

    def __call__(self, u: Tensor) -> Tensor:
        return leaky_relu(u, self.slope)

    def dual(self, p: Tensor, q: Tensor, c: Tensor) -> Tensor:
        return (1 - self.slope) ** 2 * _ArcCosine.apply(p, q, c) + self.slope * c

    def variance(self, p: Tensor) -> Tensor:
        return (1 + self.slope**2) / 2 * p


@dataclass(frozen=True)
class Smooth:
    """The activation tanh or sigmoid.

    The dual is Mehler's series in the correlation r = c / sqrt(p q). Its coefficients are those of g in the orthonormal
    Hermite polynomials h_k, by Gauss-Hermite quadrature:

        E[g(u) g(v)] = sum_k a_k(p) a_k(q) r^k,   a_k(p) = E[g(sqrt(p) z) h_k(z)],   z ~ N(0, 1)

    Both activations are odd but for a constant, so that all other even terms are zero.
    """

    name: Literal["tanh", "sigmoid"]

    def __call__(self, u: Tensor) -> Tensor:
        return torch.tanh(u) if self.name == "tanh" else torch.sigmoid(u)

    def dual(self, p: Tensor, q: Tensor, c: Tensor) -> Tensor:
        left, right = self._odd_coefficients(p), self._odd_coefficients(q)
        r = _correlation(c, _size(p, q))
        squared, total = r.square(), left[:, -1:] * right[:, -1]
        for k in reversed(range(TERMS - 1)):
            total = total * squared + left[:, k : k + 1] * right[:, k]
        return total * r + self._constant**2

    def variance(self, p: Tensor) -> Tensor:
        return self._odd_coefficients(p).square().sum(1) + self._constant**2

    @property
    def _constant(self) -> float:
        return 0.0 if self.name == "tanh" else 0.5

    def _odd_coefficients(self, p: Tensor) -> Tensor:
        """The coefficients a_1, a_3, ... (n, TERMS) for variances p (n,)."""
        nodes, weighted = (torch.from_numpy(array).to(p) for array in _odd_hermite())
        return self(p.clamp_min(_SMALLEST).sqrt()[:, None] * nodes) @ weighted


@functools.cache
def _odd_hermite() -> tuple[np.ndarray, np.ndarray]:
    """Nodes (NODES,) of the quadrature, and the odd orthonormal polynomials there times the weights (NODES, TERMS)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    orders = range(1, 2 * TERMS, 2)
    lengths = np.array([math.sqrt(math.factorial(k)) for k in orders])
    values = np.polynomial.hermite_e.hermevander(nodes, orders[-1])[:, orders] / lengths
    return nodes, values * (weights / weights.sum())[:, None]


def _size(p: Tensor, q: Tensor) -> Tensor:
    return (p[:, None] * q).clamp_min(_SMALLEST).sqrt()


def _correlation(c: Tensor, size: Tensor) -> Tensor:
    return (c / size).clamp(-1, 1)


class _ArcCosine(torch.autograd.Function):
    """The arc-cosine kernel sqrt(p q) / (2 pi) * (sin t + (pi - t) cos t) with t = arccos(c / sqrt(p q)).

    Its derivatives are (pi - t) / (2 pi) by c, and sqrt(q / p) sin t / (4 pi) by p. Autograd would divide by sin t,
    which is 0 for equal inputs, and keep many matrices.
    """

    @staticmethod
    def forward(context: Any, p: Tensor, q: Tensor, c: Tensor) -> Tensor:
        context.save_for_backward(p, q, c)
        size = _size(p, q)
        cosine = _correlation(c, size)
        return size / (2 * math.pi) * (_sine(cosine) + (math.pi - cosine.arccos()) * cosine)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p, q, c = context.saved_tensors
        size, (gradient,) = _size(p, q), gradients
        cosine = _correlation(c, size)
        common = gradient * _sine(cosine) * size / (4 * math.pi)
        by_p, by_q = (common.sum(axis) / variance.clamp_min(_SMALLEST) for axis, variance in ((1, p), (0, q)))
        return by_p, by_q, gradient * (math.pi - cosine.arccos()) / (2 * math.pi)


def _sine(cosine: Tensor) -> Tensor:
    """The sine of an angle in [0, pi], from its cosine."""
    return (1 - cosine.square()).sqrt()
