"""The evidence lower bound at the end of a variational training, and whether the training has come to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from bnnbench_plugins.torch.minibatch import Start

_LARGEST_SLOPE = 0.15
"""Largest `slope`, in nats per weight, of a training that counts as finished. At the start of a training, before the
standard deviations have moved, the slope is near 1."""


class Distribution(Protocol):
    """A distribution of weights whose log standard deviations are trained."""

    @property
    def log_scales(self) -> Mapping[str, Tensor]:
        """The log standard deviations by name."""
        ...

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, K) at inputs (N, *shape), under weights that are drawn for this call."""
        ...

    def divergence(self, prior_scale: float) -> Tensor:
        """The divergence from the prior, in nats."""
        ...


class FinalBound(NamedTuple):
    """The parts of the bound of all training data, in nats.

    `likelihood` is the expected log-likelihood, `divergence` that from the prior, and `slope` the derivative of the
    bound by a common factor on all standard deviations (by its logarithm), divided by the number of weights.
    """

    likelihood: float
    divergence: float
    slope: float

    @property
    def doubt(self) -> str:
        """Why the training has not come to its end; empty if the slope does not tell."""
        if abs(self.slope) <= _LARGEST_SLOPE:
            return ""
        return f"the training ended early: the ELBO has slope {self.slope:.2f} per weight in the standard deviations"


def final_bound(
    q: Distribution, start: Start, batch_size: int, prior_scale: float, *, passes: int, kl_weight: float = 1.0
) -> FinalBound:
    """The bound of a trained distribution, estimated from some passes over the training data by minibatches.

    `kl_weight` is the weight of the divergence in the bound that was trained, of which the slope is.
    """
    from torch.nn.functional import cross_entropy

    widths = list(q.log_scales.values())
    likelihood, slope = 0.0, 0.0
    for _ in range(passes):
        for x, y in start.minibatches(batch_size):
            value = -cross_entropy(q.logits(x), y, reduction="sum")
            slope += _common_slope(value, widths) / passes
            likelihood += value.item() / passes
    divergence = q.divergence(prior_scale)
    slope -= kl_weight * _common_slope(divergence, widths)
    return FinalBound(likelihood, divergence.item(), slope / sum(width.numel() for width in widths))


def _common_slope(value: Tensor, widths: list[Tensor]) -> float:
    """The derivative of the value by one number that is added to all log standard deviations.

    Weights that the network does not use add nothing.
    """
    import torch

    parts = torch.autograd.grad(value, widths, allow_unused=True)
    return sum(part.sum().item() for part in parts if part is not None)
