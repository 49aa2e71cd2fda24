"""The predictive of functions that were drawn from a Gaussian process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from bnnbench import Draws, Predictive

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench_plugins.gp.kernels import Kernel


class Functions(Predictive):
    """An ensemble of functions f(x) + k(x, Z) u, with f drawn from the prior of a Gaussian process with kernel k.

    The network is not evaluated.

    Args:
        network: the network of the fit.
        draws: the weights of each f, and `update`, u (S, m, classes). Shared are `points`, Z (m, d), and the
            hyperparameters of the kernel. In an ensemble of such fits they are arrays of each draw, the same for all
            draws of a member, where members differ in them.
        kernel_of: a function that gives the kernel from the hyperparameters.
        hyperparameters: their names.
    """

    def __init__(
        self,
        network: nn.Module,
        draws: Draws,
        kernel_of: Callable[[Mapping[str, Tensor]], Kernel],
        hyperparameters: Collection[str],
    ) -> None:
        super().__init__(network, draws)
        own = {name: self.draws[name] for name in (*hyperparameters, "points") if name in self.draws}
        firsts = range(0, len(self), self.per_chain) if own else [0]
        known = [self.shared | {name: tensor[first] for name, tensor in own.items()} for first in firsts]
        self._fits = [(kernel_of(one), one["points"].double()) for one in known]
        self._weights = {name: tensor for name, tensor in self.draws.items() if name not in own}

    def logits(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        x = torch.as_tensor(x).to(self.device, self.dtype).flatten(1)
        parts = itertools.groupby(self.indices(draws), self._fit_of)
        return torch.cat([self._logits(x, *self._fits[fit], list(chosen)) for fit, chosen in parts])

    def _fit_of(self, draw: int) -> int:
        """The position of the kernel and the points of a draw."""
        return draw // self.per_chain if len(self._fits) > 1 else 0

    def _logits(self, x: Tensor, kernel: Kernel, points: Tensor, chosen: list[int]) -> Tensor:
        """Logits (S, N, classes) of draws of one fit at flattened inputs x (N, d)."""
        # A contiguous range of draws is a view; any other selection is copied.
        whole = chosen == list(range(chosen[0], chosen[-1] + 1))
        selection = slice(chosen[0], chosen[-1] + 1) if whole else chosen
        weights = {name: tensor[selection] for name, tensor in self._weights.items()}
        # The terms of k(x, Z) u are much larger than their sum, so they are added in float64. One product of matrices
        # serves all draws, six times as fast as one for each.
        covariances = kernel.matrix(x.double(), points)
        conditioned = torch.tensordot(covariances, weights["update"].double(), dims=([1], [1])).transpose(0, 1)
        return kernel.prior_values(x, weights) + conditioned.to(self.dtype)
