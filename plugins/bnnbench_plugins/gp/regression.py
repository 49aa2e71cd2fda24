"""Functions drawn from the posterior of a Gaussian process regression."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bnnbench_plugins.gp.dirichlet import Targets
from bnnbench_plugins.gp.kernels import Kernel, normal

JITTER = 1e-6
"""Share of the mean of a matrix' diagonal that is added to the diagonal, so that there is a Cholesky factor."""
_POINTS = 2048
"""Largest number of training points that are evaluated together."""
_DRAWS = 16
"""Largest number of functions that are drawn together."""


@dataclass(frozen=True, eq=False)
class Regression:
    """The posterior of independent functions, one for each class, by their values at inducing points Z.

    With the Cholesky factor L of the kernel matrix of Z, the whitened values w = L^-1 f(Z) have the prior N(0, I). The
    best approximation by inducing points (Titsias 2009) gives w the precision I + G and the mean (I + G)^-1 b, for each
    class:

        G = sum_n phi_n phi_n^T / noise_n,   b = sum_n phi_n value_n / noise_n,   phi_n = L^-1 k(Z, x_n)

    The rest of the function is as in the prior. If Z are all training inputs, this is the exact posterior.

    Attributes:
        kernel: the kernel.
        points: Z (m, d).
        factor: L (m, m).
        precisions: G (classes, m, m).
        naturals: b (classes, m).
    """

    kernel: Kernel
    points: Tensor
    factor: Tensor
    precisions: Tensor
    naturals: Tensor

    @classmethod
    def of(cls, kernel: Kernel, points: Tensor, x: Tensor, targets: Targets) -> Regression:
        """The posterior given targets at inputs x (n, d), all in float64. Its memory grows with m, not with n."""
        size, classes = len(points), targets.values.shape[1]
        factor = torch.linalg.cholesky(with_jitter(kernel.matrix(points, points)))
        precisions, naturals = points.new_zeros(classes, size, size), points.new_zeros(classes, size)
        # Points of one label have the same noises, so that one product of matrices serves all classes.
        noises, group = targets.noise.unique(dim=0, return_inverse=True)
        for number, noise in enumerate(noises):
            squares = points.new_zeros(size, size)
            for chosen in (group == number).nonzero()[:, 0].split(_POINTS):
                phi = torch.linalg.solve_triangular(factor, kernel.matrix(points, x[chosen]), upper=False)
                squares.addmm_(phi, phi.T)
                naturals += (phi @ (targets.values[chosen] / noise)).T
            for precision, variance in zip(precisions, noise, strict=True):
                precision += squares / variance
        return cls(kernel, points, factor, precisions, naturals)

    def draws(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The weights (count, *shape) of functions drawn independently from the posterior, in float32.

        Pathwise conditioning (Matheron's rule; Wilson et al. 2020, 2021) turns a function f of the prior into one of
        the posterior, a fixed function of x:

            f(x) + k(x, Z) u,   u = L^-T (I + G)^-1 (b - G w - e),   w = L^-1 f(Z),   e ~ N(0, G)

        Since f has the covariances of the kernel over draws, the result has the means and covariances of the posterior.
        The `update` u (count, m, classes) is smaller than in the form with exact values at Z, whose large terms cancel.
        """
        identity = torch.eye(len(self.points), dtype=self.points.dtype, device=self.points.device)
        factors = [
            (torch.linalg.cholesky(identity + precision), torch.linalg.cholesky(with_jitter(precision)))
            for precision in self.precisions
        ]
        parts = [self._drawn(min(_DRAWS, count - start), factors, generator) for start in range(0, count, _DRAWS)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _drawn(self, count: int, factors: list[tuple[Tensor, Tensor]], generator: torch.Generator) -> dict[str, Tensor]:
        """Some of the functions; `factors` are Cholesky factors of I + G and of G for each class."""
        weights = self.kernel.prior(count, self.points.shape[1], len(factors), generator)
        values = self.kernel.prior_values(self.points, weights)
        white = torch.linalg.solve_triangular(self.factor, values, upper=False)
        updates = []
        for label, (whole, spread) in enumerate(factors):
            error = spread @ normal((len(self.points), count), generator)
            missing = self.naturals[label][:, None] - self.precisions[label] @ white[:, :, label].T - error
            solved = torch.cholesky_solve(missing, whole)
            updates.append(torch.linalg.solve_triangular(self.factor.T, solved, upper=True).T)
        return {name: array.float() for name, array in {**weights, "update": torch.stack(updates, 2)}.items()}


def with_jitter(matrix: Tensor) -> Tensor:
    """A positive semidefinite matrix (m, m) with a small multiple of the identity added."""
    size = JITTER * matrix.diagonal().mean()
    return matrix + size * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
