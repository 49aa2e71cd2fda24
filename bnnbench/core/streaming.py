"""The numerics behind `Predictive`: everything is streamed over draws and over chunks of images.

Memory does not grow with the number of draws, and results do not depend on how the work is cut up. All that is asked
of a predictive is `logits` of one draw at a time, so any network, and any predictive that overrides `logits`, works.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from bnnbench.core.objective import Objective

if TYPE_CHECKING:
    from bnnbench.core.predictive import Predictive

BUDGET = 48 * 2**20
"""Bytes that the activations of one chunk of images may take."""


class Probe(NamedTuple):
    """What one look at the ensemble tells an attacker: (N, K), (N,) and (N, *shape)."""

    log_probs: Tensor
    value: Tensor
    direction: Tensor


def log_probs(predictive: Predictive, x: Tensor, draws: Sequence[int]) -> Tensor:
    """Log predictive probabilities (N, K), differentiable in x."""
    return torch.cat([_mean_log_probs(predictive, part, draws) for part in _chunks(predictive, x)])


def draw_log_probs(predictive: Predictive, x: Tensor, draws: Sequence[int]) -> Tensor:
    """Log-probabilities of each draw (S, N, K), without gradient."""
    with torch.no_grad():
        parts = [torch.stack([_draw(predictive, part, draw) for draw in draws]) for part in _chunks(predictive, x)]
    return torch.cat(parts, dim=1)


def gradient(predictive: Predictive, x: Tensor, y: Tensor, objective: Objective, draws: Sequence[int]) -> Tensor:
    """The true gradient (N, *shape) of the objective: one pass for its derivative by each draw's log-probabilities,
    then one that pulls that derivative back through each draw."""
    parts = []
    for part, labels in _labelled_chunks(predictive, x, y):
        each = draw_log_probs(predictive, part, draws)
        parts.append(_pull_back(predictive, part, draws, _derivative(objective.value, each, labels)))
    return torch.cat(parts).to(x)


def probe(predictive: Predictive, x: Tensor, y: Tensor, objective: Objective, draws: Sequence[int]) -> Probe:
    """Predictive log-probabilities, the objective's value and its direction, in one pass where the objective allows."""
    one_pass = type(objective).log_weight is not Objective.log_weight
    look = _probe_by_weights if one_pass else _probe_by_derivative
    parts = [look(predictive, part, labels, objective, draws) for part, labels in _labelled_chunks(predictive, x, y)]
    found, value, direction = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
    return Probe(found.to(x), value.to(x), direction.to(x))


def average(each: Tensor) -> Tensor:
    """Log predictive probabilities (N, K) of draws' log-probabilities (S, N, K)."""
    return each.logsumexp(0) - torch.log(torch.tensor(float(len(each)), dtype=each.dtype, device=each.device))


def _probe_by_weights(
    predictive: Predictive, x: Tensor, y: Tensor, objective: Objective, draws: Sequence[int]
) -> Probe:
    """The direction as a weighted sum of the draws' gradients of the log odds against y.

    Those gradients do not vanish where a draw is sure of itself, and the weights are kept as logarithms relative to
    the largest so far, so nothing underflows: the running sum is rescaled whenever the maximum moves.
    """
    each, total, largest = [], None, None
    for draw in draws:
        x = x.detach().requires_grad_()
        logits = predictive.logits(x, [draw])[0]
        odds = log_odds_against(logits, y)
        (slope,) = torch.autograd.grad(odds.sum(), x)
        own = logits.detach().log_softmax(-1)
        right = own.gather(1, y[:, None])[:, 0]
        weight = objective.log_weight(right, odds.detach() + right)
        assert weight is not None
        each.append(own)
        if total is None or largest is None:
            total, largest = slope, weight
            continue
        top = torch.maximum(largest, weight)
        total = _scale(total, largest, top) + _scale(slope, weight, top)
        largest = top
    assert total is not None
    stacked = torch.stack(each)
    return Probe(average(stacked), objective.value(stacked, y), total)


def _scale(batch: Tensor, log_weight: Tensor, top: Tensor) -> Tensor:
    # A draw of weight zero (minus infinity) leaves nothing, also where every draw so far had none.
    factor = torch.where(log_weight == -torch.inf, 0.0, (log_weight - top).exp())
    return batch * factor.view(-1, *[1] * (batch.ndim - 1))


def _probe_by_derivative(
    predictive: Predictive, x: Tensor, y: Tensor, objective: Objective, draws: Sequence[int]
) -> Probe:
    each = draw_log_probs(predictive, x, draws)
    direction = _pull_back(predictive, x, draws, _derivative(objective.ascent, each, y))
    return Probe(average(each), objective.value(each, y), direction)


def _derivative(function: object, each: Tensor, y: Tensor) -> Tensor:
    """d function / d log_probs (S, N, K), taken in float64: small weights of draws must not be lost here."""
    leaf = each.detach().double().requires_grad_()
    with torch.enable_grad():
        value = function(leaf, y)  # type: ignore[operator]
        (derivative,) = torch.autograd.grad(value.sum(), leaf)
    return derivative.to(each.dtype)


def _pull_back(predictive: Predictive, x: Tensor, draws: Sequence[int], derivative: Tensor) -> Tensor:
    total = torch.zeros_like(x)
    for draw, cotangent in zip(draws, derivative, strict=True):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            own = _draw(predictive, x, draw)
            total += torch.autograd.grad(own, x, cotangent)[0]
    return total


def log_odds_against(logits: Tensor, y: Tensor) -> Tensor:
    """log (1 - p[y]) - log p[y], (N,), from logits (N, K), without forming probabilities."""
    right = torch.nn.functional.one_hot(y, logits.shape[-1]).bool()
    return logits.masked_fill(right, -torch.inf).logsumexp(-1) - logits.gather(1, y[:, None])[:, 0]


def _draw(predictive: Predictive, x: Tensor, draw: int) -> Tensor:
    return predictive.logits(x, [draw])[0].log_softmax(-1)


def _mean_log_probs(predictive: Predictive, x: Tensor, draws: Sequence[int]) -> Tensor:
    total = _draw(predictive, x, draws[0])
    for draw in draws[1:]:
        total = torch.logaddexp(total, _draw(predictive, x, draw))
    return total - torch.log(torch.tensor(float(len(draws)), dtype=total.dtype, device=total.device))


def _chunks(predictive: Predictive, x: Tensor) -> Iterator[Tensor]:
    x = x.to(predictive.device, predictive.dtype)
    yield from x.split(_images_at_once(predictive, x))


def _labelled_chunks(predictive: Predictive, x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    y = y.to(predictive.device)
    start = 0
    for part in _chunks(predictive, x):
        yield part, y[start : start + len(part)]
        start += len(part)


def _images_at_once(predictive: Predictive, x: Tensor) -> int:
    """How many images fit the budget; it depends on shapes alone, so that results do not depend on the machine."""
    if len(x) == 0:
        return 1
    # The activations, their gradients, and what a layer needs beside them.
    needed = 3 * _floats_per_image(predictive, x[:1]) * x.element_size()
    return max(1, BUDGET // needed)


def _floats_per_image(predictive: Predictive, image: Tensor) -> int:
    sizes = [image.numel()]

    def note(module: torch.nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel())

    hooks = [module.register_forward_hook(note) for module in predictive.network.modules()]
    try:
        with torch.no_grad():
            sizes.append(predictive.logits(image, [0]).numel())
    finally:
        for hook in hooks:
            hook.remove()
    return sum(sizes)
