"""The numerics behind `Predictive`: everything is streamed over draws and over chunks of images.

Memory does not grow with the number of draws, and results do not depend on how the work is cut up, but for rounding.
`routes` says how the draws themselves are evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from bnnbench.core import routes
from bnnbench.core.objective import Objective, value_of
from bnnbench.core.precision import fast_products

if TYPE_CHECKING:
    from bnnbench.core.predictive import Predictive

BUDGET = 24 * 2**20
"""Bytes that the activations of one chunk of images, and what all draws say of them, may take."""


class Probe(NamedTuple):
    """What one look at the ensemble tells an attacker: (N, K), (N,) and (N, *shape)."""

    log_probs: Tensor
    value: Tensor
    direction: Tensor


class Chunk(NamedTuple):
    """Images (n, *shape) that are looked at together, and the draws in blocks that are."""

    x: Tensor
    start: int
    blocks: list[list[int]]


def log_probs(predictive: Predictive, x: Tensor, draws: Sequence[int]) -> Tensor:
    """Log predictive probabilities (N, K), differentiable in x."""
    return torch.cat([_mean_log_probs(predictive, chunk) for chunk in _chunks(predictive, x, draws)])


def draw_log_probs(predictive: Predictive, x: Tensor, draws: Sequence[int]) -> Tensor:
    """Log-probabilities of each draw (S, N, K), without gradient."""
    with torch.no_grad(), fast_products(predictive.device):
        return torch.cat([_each(predictive, chunk) for chunk in _chunks(predictive, x, draws)], dim=1)


def gradient(predictive: Predictive, x: Tensor, y: Tensor, objective: Objective, draws: Sequence[int]) -> Tensor:
    """The true gradient (N, *shape) of the objective."""
    with fast_products(predictive.device):
        parts = [
            _follow(predictive, chunk, labels, objective, objective.value).direction
            for chunk, labels in _labelled_chunks(predictive, x, y, draws)
        ]
    return torch.cat(parts).to(x)


def probe(predictive: Predictive, x: Tensor, y: Tensor, objective: Objective, draws: Sequence[int]) -> Probe:
    """Predictive log-probabilities, the objective's value and its direction, in one pass where the objective allows."""
    look = _look(objective)
    with fast_products(predictive.device):
        parts = [
            look(predictive, chunk, labels, objective) for chunk, labels in _labelled_chunks(predictive, x, y, draws)
        ]
    found, value, direction = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
    return Probe(found.to(x), value.to(x), direction.to(x))


def _look(objective: Objective) -> Callable[[Predictive, Chunk, Tensor, Objective], Probe]:
    """The best form of its direction that the objective's own class, or the one that defines its value, declares."""
    for form, look in (("log_weight", _weigh), ("odds_terms", _balance), ("ascent", _ascend)):
        if _speaks_for_value(type(objective), form):
            return look
    return _climb


def _speaks_for_value(kind: type[Objective], form: str) -> bool:
    order = kind.__mro__
    definer = {name: next(place for place, cls in enumerate(order) if name in vars(cls)) for name in (form, "value")}
    return order[definer[form]] is not Objective and definer[form] <= definer["value"]


def average(each: Tensor) -> Tensor:
    """Log predictive probabilities (N, K) of draws' log-probabilities (S, N, K)."""
    return each.logsumexp(0) - math.log(len(each))


def _weigh(predictive: Predictive, chunk: Chunk, y: Tensor, objective: Objective) -> Probe:
    """The direction as a weighted sum of the draws' gradients of the log odds against y, in one pass.

    Those gradients do not vanish where a draw is sure of itself, and the weights are kept as logarithms relative to
    the largest so far, so nothing underflows: the running sum is rescaled whenever the maximum moves.
    """
    each, total = [], torch.zeros_like(chunk.x)
    largest = torch.full_like(y, -torch.inf, dtype=chunk.x.dtype)
    for block in chunk.blocks:
        logits, pull = routes.forward(predictive, chunk.x, block)
        log_probs, right, wrong, slope = _against(logits, y)
        weight = _log_weights(objective, right, wrong)
        if weight is None:
            return _climb(predictive, chunk, y, objective)
        top = torch.maximum(largest, weight.amax(0))
        if (top > largest).any():
            total.mul_(_relative(largest, top).view(-1, *[1] * (total.ndim - 1)))
        # The pull is linear: weighting the few logits spares weighting every pixel.
        pull(slope.mul_(_relative(weight, top)[..., None]), total)
        largest = top
        each.append(log_probs)
    found = torch.cat(each)
    return Probe(average(found), value_of(objective, found, y), total)


def _against(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of logits (B, N, K): log-probabilities, log p[y] and log(1 - p[y]), both (B, N), and the derivative by the logits
    of the log odds against y, which is the softmax over the other classes, less one at the label."""
    log_probs = logits.log_softmax(-1)
    at = y.expand(logits.shape[:-1])[..., None]
    right = log_probs.gather(-1, at)
    others = log_probs.scatter(-1, at, -torch.inf)
    wrong = others.logsumexp(-1, keepdim=True)
    slope = (others - wrong).exp_().scatter_(-1, at, -1.0)
    return log_probs, right[..., 0], wrong[..., 0], slope


def _log_weights(objective: Objective, right: Tensor, wrong: Tensor) -> Tensor | None:
    weights = []
    for own_right, own_wrong in zip(right, wrong, strict=True):
        weight = objective.log_weight(own_right, own_wrong)
        if weight is None:
            return None
        weights.append(weight)
    return torch.stack(weights)


def _relative(log_weight: Tensor, top: Tensor) -> Tensor:
    # A draw of weight zero (minus infinity) leaves nothing, also where every draw so far had none.
    return torch.where(log_weight == -torch.inf, 0.0, (log_weight - top).exp())


def _balance(predictive: Predictive, chunk: Chunk, y: Tensor, objective: Objective) -> Probe:
    """The direction as a signed sum over a few classes of gradients of log odds, their weights kept as logarithms
    relative to the largest of all draws and classes."""
    with torch.no_grad():
        each = _each(predictive, chunk)
        terms = objective.odds_terms(each, y)
    if terms is None:
        return _ascend(predictive, chunk, y, objective)
    top = torch.stack([term.log_weight.amax(0) for term in terms]).amax(0)
    total, start = torch.zeros_like(chunk.x), 0
    for block in chunk.blocks:
        logits, pull = routes.forward(predictive, chunk.x, block)
        slope = torch.zeros_like(logits)
        for term in terms:
            weight = term.sign * _relative(term.log_weight[start : start + len(block)], top)
            slope += _against(logits, term.classes)[-1] * weight[..., None]
        pull(slope, total)
        start += len(block)
    return Probe(average(each), value_of(objective, each, y), total)


def _ascend(predictive: Predictive, chunk: Chunk, y: Tensor, objective: Objective) -> Probe:
    return _follow(predictive, chunk, y, objective, objective.ascent)


def _climb(predictive: Predictive, chunk: Chunk, y: Tensor, objective: Objective) -> Probe:
    return _follow(predictive, chunk, y, objective, objective.value)


def _follow(
    predictive: Predictive, chunk: Chunk, y: Tensor, objective: Objective, function: Callable[[Tensor, Tensor], Tensor]
) -> Probe:
    """The gradient of any function of the draws' log-probabilities: one pass for its derivative by them, then one that
    pulls that derivative back through each draw."""
    with torch.no_grad():
        each = _each(predictive, chunk)
    derivative = _derivative(function, each, y)
    total, start = torch.zeros_like(chunk.x), 0
    for block in chunk.blocks:
        logits, pull = routes.forward(predictive, chunk.x, block)
        slope = derivative[start : start + len(block)]
        pull(slope - logits.softmax(-1) * slope.sum(-1, keepdim=True), total)
        start += len(block)
    return Probe(average(each), value_of(objective, each, y), total)


def _derivative(function: Callable[[Tensor, Tensor], Tensor], each: Tensor, y: Tensor) -> Tensor:
    """d function / d log_probs (S, N, K), taken in float64: small weights of draws must not be lost here."""
    leaf = each.detach().double().requires_grad_()
    with torch.enable_grad():
        (derivative,) = torch.autograd.grad(function(leaf, y).sum(), leaf)
    return derivative.to(each.dtype)


def log_odds_against(logits: Tensor, y: Tensor) -> Tensor:
    """log (1 - p[y]) - log p[y], (N,), from logits (N, K), without forming probabilities."""
    right = torch.nn.functional.one_hot(y, logits.shape[-1]).bool()
    return logits.masked_fill(right, -torch.inf).logsumexp(-1) - logits.gather(1, y[:, None])[:, 0]


def _each(predictive: Predictive, chunk: Chunk) -> Tensor:
    return torch.cat([routes.logits(predictive, chunk.x, block).log_softmax(-1) for block in chunk.blocks])


def _mean_log_probs(predictive: Predictive, chunk: Chunk) -> Tensor:
    total = None
    for block in chunk.blocks:
        own = routes.logits(predictive, chunk.x, block).log_softmax(-1).logsumexp(0)
        total = own if total is None else torch.logaddexp(total, own)
    assert total is not None
    return total - math.log(sum(len(block) for block in chunk.blocks))


def _chunks(predictive: Predictive, x: Tensor, draws: Sequence[int]) -> Iterator[Chunk]:
    """Few enough images at a time for the budget; it depends on shapes alone, so that results do not depend on the
    machine."""
    x = x.to(predictive.device, predictive.dtype)
    found = routes.footprint(predictive, x)
    # Beside the activations: the image's gradients, and what the draws say, which the objective turns over a few times.
    beside = 3 * x[:1].numel() + 6 * len(draws) * found.classes
    at_once = max(1, BUDGET // (found.activations + beside * x.element_size()))
    for start in range(0, len(x), at_once):
        part = x[start : start + at_once]
        yield Chunk(part, start, routes.blocks(predictive, part, draws))


def _labelled_chunks(
    predictive: Predictive, x: Tensor, y: Tensor, draws: Sequence[int]
) -> Iterator[tuple[Chunk, Tensor]]:
    y = y.to(predictive.device)
    for chunk in _chunks(predictive, x, draws):
        yield chunk, y[chunk.start : chunk.start + len(chunk.x)]
