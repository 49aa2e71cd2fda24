"""The evidence lower bound at the end of a variational training, and whether the training has come to its end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch.nn.functional import cross_entropy

from bnnbench_plugins.torch.own_dropout import dropout_layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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

    `kl_weight` is the weight of the divergence in the bound that was trained, of which the slope is. Dropout acted in
    that bound, so it does in the estimate of the slope; it does not in the likelihood, as in the draws.
    """
    widths = list(q.log_scales.values())
    likelihood, slope = _likelihood(q, start, batch_size, passes)
    if dropout_layers(start.network):
        with _with_dropout(start):
            slope = _likelihood(q, start, batch_size, passes)[1]
    divergence = q.divergence(prior_scale)
    slope -= kl_weight * _common_slope(divergence, widths)
    return FinalBound(likelihood, divergence.item(), slope / sum(width.numel() for width in widths))


def _likelihood(q: Distribution, start: Start, batch_size: int, passes: int) -> tuple[float, float]:
    """The expected log-likelihood of all training data, and its slope."""
    likelihood, slope = 0.0, 0.0
    for _ in range(passes):
        for x, y in start.minibatches(batch_size):
            value = -cross_entropy(q.logits(x), y, reduction="sum")
            slope += _common_slope(value, list(q.log_scales.values())) / passes
            likelihood += value.item() / passes
    return likelihood, slope


@contextlib.contextmanager
def _with_dropout(start: Start) -> Iterator[None]:
    """A context in which dropout acts, and batch norm keeps its statistics. The noise of the fit stays as it is."""
    noise = start.noise.get_state()
    with start.training():
        for layer in start.network.modules():
            layer.training &= getattr(layer, "running_mean", None) is None
        yield
    start.noise.set_state(noise)


def _common_slope(value: Tensor, widths: list[Tensor]) -> float:
    """The derivative of the value by one number that is added to all log standard deviations.

    Weights that the network does not use add nothing.
    """
    parts = torch.autograd.grad(value, widths, allow_unused=True)
    return sum(part.sum().item() for part in parts if part is not None)
