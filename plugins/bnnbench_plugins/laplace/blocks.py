"""Normal distributions of groups of weights around their mode, given by their precision H.

Each block holds some weights of a network. All work in float64: the eigenvalues of H span many orders of magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor

Weights = Mapping[str, "Tensor"]
"""Weights, or as many numbers, by their names in the `state_dict`."""


class Block(Protocol):
    """The normal distribution N(0, H^-1) of the deviations of some weights from their mode."""

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Independent deviations: name -> array (count, *weight)."""

    def squared_length(self, gradient: Weights) -> float:
        """The value g^T H^-1 g of a gradient g.

        It is the squared distance, in standard deviations, from the weights to the mode of a quadratic whose gradient
        and Hessian are g and H.
        """

    def solved(self, gradient: Weights) -> dict[str, Tensor]:
        """H^-1 g for the part of a gradient g that belongs to the block: name -> array (*weight)."""

    def log_determinant(self) -> float:
        """The logarithm of the determinant of H."""


class FullBlock:
    """A block with any precision.

    Args:
        weights: the weights of the block, for their names and shapes.
        precision: H (P, P), positive definite, in the order of the flattened weights.
    """

    def __init__(self, weights: Weights, precision: Tensor) -> None:
        self._weights = weights
        self._factor = torch.linalg.cholesky(precision.double())

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        noise = _normal((len(self._factor), count), generator)
        flat = torch.linalg.solve_triangular(self._factor.T, noise, upper=True).T
        return _apart(flat, self._weights)

    def squared_length(self, gradient: Weights) -> float:
        flat = _flat(gradient, self._weights)[:, None]
        return float(torch.linalg.solve_triangular(self._factor, flat, upper=False).square().sum())

    def solved(self, gradient: Weights) -> dict[str, Tensor]:
        flat = torch.cholesky_solve(_flat(gradient, self._weights)[:, None], self._factor)
        return {name: part[0] for name, part in _apart(flat.T, self._weights).items()}

    def log_determinant(self) -> float:
        return 2 * float(self._factor.diagonal().log().sum())


class DiagonalBlock:
    """A block with a diagonal precision, as a vector (P,) in the order of the flattened weights."""

    def __init__(self, weights: Weights, precision: Tensor) -> None:
        self._weights, self._precision = weights, precision.double()

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        noise = _normal((count, len(self._precision)), generator)
        return _apart(noise / self._precision.sqrt(), self._weights)

    def squared_length(self, gradient: Weights) -> float:
        return float((_flat(gradient, self._weights).square() / self._precision).sum())

    def solved(self, gradient: Weights) -> dict[str, Tensor]:
        flat = _flat(gradient, self._weights) / self._precision
        return {name: part[0] for name, part in _apart(flat[None], self._weights).items()}

    def log_determinant(self) -> float:
        return float(self._precision.log().sum())


class KroneckerBlock:
    """A block of one layer with the precision H = A (x) B + prior_precision * I, exact by the eigenvalues of A and B.

    The layer's weights are a matrix (outputs, inputs), with the bias as a further column if there is one. A belongs to
    its columns and B to its rows.

    Args:
        weights: the layer's weight, and its bias if it has one, by their names.
        of_inputs: A, symmetric and positive semi-definite.
        of_outputs: B, likewise.
        prior_precision: the precision of the prior.
    """

    def __init__(self, weights: Weights, of_inputs: Tensor, of_outputs: Tensor, prior_precision: float) -> None:
        self._weights = weights
        inputs, self._of_inputs = torch.linalg.eigh(of_inputs.double())
        outputs, self._of_outputs = torch.linalg.eigh(of_outputs.double())
        # Rounding can make eigenvalues of zero negative.
        self._precision = outputs.clamp_min(0)[:, None] * inputs.clamp_min(0) + prior_precision

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        noise = _normal((count, *self._precision.shape), generator) / self._precision.sqrt()
        return self._turned_back(noise)

    def squared_length(self, gradient: Weights) -> float:
        return float((self._turned(gradient).square() / self._precision).sum())

    def solved(self, gradient: Weights) -> dict[str, Tensor]:
        parts = self._turned_back((self._turned(gradient) / self._precision)[None])
        return {name: part[0] for name, part in parts.items()}

    def log_determinant(self) -> float:
        return float(self._precision.log().sum())

    def _turned(self, values: Weights) -> Tensor:
        """Values of the weights as a matrix (outputs, inputs) in the bases of eigenvectors."""
        columns = [values[name].double().reshape(len(self._of_outputs), -1) for name in self._weights]
        return self._of_outputs.T @ torch.cat(columns, 1) @ self._of_inputs

    def _turned_back(self, matrices: Tensor) -> dict[str, Tensor]:
        """Matrices (count, outputs, inputs) in the bases of eigenvectors as weights: name -> array (count, *weight)."""
        columns = self._of_outputs @ matrices @ self._of_inputs.T
        parts = columns.split([weight.numel() // len(weight) for weight in self._weights.values()], -1)
        return {
            name: part.reshape(len(matrices), *self._weights[name].shape)
            for name, part in zip(self._weights, parts, strict=True)
        }


def log_evidence(blocks: Sequence[Block], negative_log_joint: float, weights: int, prior_scale: float) -> float:
    """Laplace's approximation of the log marginal likelihood, in nats (MacKay 1992).

    It is log p(D, w*) + P / 2 log(2 pi) - 1/2 log det H at the mode w* of P weights. The constants 2 pi of the prior
    and of the approximation cancel. The joint density is given without them.
    """
    occam = 0.5 * sum(block.log_determinant() for block in blocks) + weights * math.log(prior_scale)
    return -negative_log_joint - occam


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=generator, device=generator.device)


def _flat(values: Weights, weights: Weights) -> Tensor:
    """The values as one vector (P,) in float64, in the order of the weights."""
    return torch.cat([values[name].double().flatten() for name in weights])


def _apart(flat: Tensor, weights: Weights) -> dict[str, Tensor]:
    """Vectors (count, P) cut into arrays (count, *weight)."""
    parts = flat.split([weight.numel() for weight in weights.values()], dim=1)
    return {name: part.reshape(len(flat), *weights[name].shape) for name, part in zip(weights, parts, strict=True)}
