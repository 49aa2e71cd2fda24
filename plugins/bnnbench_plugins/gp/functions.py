"""The predictive of functions that were drawn from a Gaussian process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        draws: the weights of each f, and `update`, u (S, m, classes); shared are `points`, Z (m, d), and the
            hyperparameters of the kernel.
        kernel_of: a function that gives the kernel from the shared arrays.
    """

    def __init__(self, network: nn.Module, draws: Draws, kernel_of: Callable[[Mapping[str, Tensor]], Kernel]) -> None:
        super().__init__(network, draws)
        self.kernel = kernel_of(self.shared)
        self._points = self.shared["points"].double()

    def logits(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        chosen = self.indices(draws)
        # A contiguous range of draws is a view; any other selection is copied.
        whole = chosen == list(range(chosen[0], chosen[-1] + 1))
        selection = slice(chosen[0], chosen[-1] + 1) if whole else chosen
        weights = {name: tensor[selection] for name, tensor in self.draws.items()}
        x = torch.as_tensor(x).to(self.device, self.dtype).flatten(1)
        # The terms of k(x, Z) u are much larger than their sum, so they are added in float64. One product of matrices
        # serves all draws, six times as fast as one for each.
        covariances = self.kernel.matrix(x.double(), self._points)
        conditioned = torch.tensordot(covariances, weights["update"].double(), dims=([1], [1])).transpose(0, 1)
        return self.kernel.prior_values(x, weights) + conditioned.to(self.dtype)
