"""Gradients and directions of objectives at chunks of images.

A direction is the gradient of an objective up to a positive factor for each image. It is computed from the draws'
gradients of log odds, weighted in logarithms, so that it does not underflow where the draws are certain.

An objective may define up to three forms of its direction. The first that is defined and does not return None is used:
`log_weight` (one pass over the draws), `odds_terms` (two passes), `ascent` (two passes). Without any of them, the
direction is the gradient of `value`. Two passes become one where the first pass of every draw can be held in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from bnnbench.core.broadcasting import per_image
from bnnbench.core.ensemble import batching
from bnnbench.core.ensemble.chunks import Chunk, can_be_held
from bnnbench.core.ensemble.protocol import Ensemble
from bnnbench.core.objective import Objective, value_of


class Probe(NamedTuple):
    """The result of a query with gradient.

    Attributes:
        log_probs: log predictive probabilities (N, K).
        value: the objective (N,).
        direction: the direction (N, *shape).
    """

    log_probs: Tensor
    value: Tensor
    direction: Tensor


class _Weighted(NamedTuple):
    """The log-probabilities (S, N, K), the logarithms of the draws' weights (S, N), the weighted sum (N, *shape)."""

    each: Tensor
    log_weight: Tensor
    total: Tensor


def direction(ensemble: Ensemble, chunk: Chunk, y: Tensor, objective: Objective) -> Probe:
    """Log-probabilities, value and direction at images with labels y (n,), by the first form that applies."""
    forms = (("log_weight", one_pass_weighted), ("odds_terms", signed_odds), ("ascent", monotone_transform))
    for form, compute in forms:
        if declares(objective, form) and (probe := compute(ensemble, chunk, y, objective)) is not None:
            return probe
    return plain_gradient(ensemble, chunk, y, objective, objective.value)


def true_gradient(ensemble: Ensemble, chunk: Chunk, y: Tensor, objective: Objective) -> Tensor:
    """The gradient (n, *shape) of the objective's value at a chunk of images with labels y (n,).

    It takes one pass over the draws if the objective has a `log_weight` or all passes can be held, and two otherwise.
    """
    weighted = _weighted(ensemble, chunk, y, objective) if declares(objective, "log_weight") else None
    if weighted is None:
        return plain_gradient(ensemble, chunk, y, objective, objective.value).direction
    factor = _scale(objective, weighted, y).to(weighted.total.dtype)
    return weighted.total.mul_(per_image(factor, weighted.total))


def declares(objective: Objective, form: str) -> bool:
    """Whether the objective defines this form of the direction of its own `value`.

    The class that defines the form must be the one that defines `value`, or a subclass of it. Otherwise the form
    belongs to the value of a parent class.
    """
    order = type(objective).__mro__
    definer = {name: next(index for index, cls in enumerate(order) if name in vars(cls)) for name in (form, "value")}
    return order[definer[form]] is not Objective and definer[form] <= definer["value"]


def average(each: Tensor) -> Tensor:
    """Log predictive probabilities (N, K) from the draws' log-probabilities (S, N, K)."""
    return each.logsumexp(0) - math.log(len(each))


def each_log_probs(ensemble: Ensemble, chunk: Chunk) -> Tensor:
    """Log-probabilities (S, n, K) of every draw at a chunk of images."""
    return torch.cat([batching.logits(ensemble, chunk.x, block).log_softmax(-1) for block in chunk.blocks])


def one_pass_weighted(ensemble: Ensemble, chunk: Chunk, y: Tensor, objective: Objective) -> Probe | None:
    """The direction as a weighted sum of the draws' gradients of the log odds against y, in one pass over the draws.

    None if the objective's `log_weight` returns None.
    """
    weighted = _weighted(ensemble, chunk, y, objective)
    if weighted is None:
        return None
    return Probe(average(weighted.each), value_of(objective, weighted.each, y), weighted.total)


def _weighted(ensemble: Ensemble, chunk: Chunk, y: Tensor, objective: Objective) -> _Weighted | None:
    """The weighted sum of the draws' gradients of the log odds, scaled so that each image's largest weight is 1.

    The gradients of log odds do not vanish where a draw is certain. The weights are relative to the largest one so far,
    in logarithms, so that they do not underflow. When a later block has a larger weight, the sum so far is rescaled.
    None if the objective's `log_weight` returns None.
    """
    each, weights, total = [], [], torch.zeros_like(chunk.x)
    largest = torch.full_like(y, -torch.inf, dtype=chunk.x.dtype)
    for group in batching.grouped(ensemble, chunk.x, chunk.blocks):
        passes = [batching.forward(ensemble, chunk.x, block) for block in group]
        # The log odds are computed for a group of blocks at once: for one block, calls of torch cost more than sums.
        log_probs, right, wrong, slopes = _against(torch.cat([logits for logits, _ in passes]), y)
        group_weights = _log_weights(objective, right, wrong)
        if group_weights is None:
            return None
        sizes = [len(block) for block in group]
        for (_, pull), weight, slope in zip(passes, group_weights.split(sizes), slopes.split(sizes), strict=True):
            top = torch.maximum(largest, weight.amax(0))
            if (top > largest).any():
                total.mul_(per_image(_relative(largest, top), total))
            # Pulling back is linear, so the weights are applied to the few logits instead of to every pixel.
            pull(slope.mul_(_relative(weight, top)[..., None]), total)
            largest = top
        each.append(log_probs)
        weights.append(group_weights)
    return _Weighted(torch.cat(each), torch.cat(weights), total)


def _scale(objective: Objective, weighted: _Weighted, y: Tensor) -> Tensor:
    """The factor (n,), float64, that turns the weighted sum into the gradient of the objective's value.

    The gradient is a sum of the same draws' gradients with proportional coefficients. So the factor is the ratio of the
    two coefficients of one draw; the draw with the largest weight is taken.
    """
    heaviest = weighted.log_weight.argmax(0), torch.arange(len(y), device=y.device)
    derivative, log_probs = _derivative(objective.value, weighted.each, y)[heaviest], weighted.each[heaviest].double()
    _, _, right, wrong = _log_odds(log_probs, y)
    of_label = derivative.gather(-1, y[:, None])
    # The coefficient of the label's logit is derivative[y] - p[y] * (sum of the derivative) in the gradient, and -1 in
    # the weighted sum. The ratio is rearranged so that no digits cancel where p[y] is close to 1.
    return (right.exp() * (derivative.sum(-1, keepdim=True) - of_label) - wrong.exp() * of_label)[:, 0]


def signed_odds(ensemble: Ensemble, chunk: Chunk, y: Tensor, objective: Objective) -> Probe | None:
    """The direction as a signed sum, over a few classes, of the draws' gradients of the log odds against each class.

    The weights are relative to the largest one of all draws and terms, in logarithms. None if the objective's
    `odds_terms` returns None.
    """
    each, passes = _every_draw(ensemble, chunk)
    with torch.no_grad():
        terms = objective.odds_terms(each, y)
    if terms is None:
        return None
    top = torch.stack([term.log_weight.amax(0) for term in terms]).amax(0)
    total, start = torch.zeros_like(chunk.x), 0
    for logits, pull in passes:
        slope = torch.zeros_like(logits)
        for term in terms:
            weight = term.sign * _relative(term.log_weight[start : start + len(logits)], top)
            slope += _against(logits, term.classes)[-1] * weight[..., None]
        pull(slope, total)
        start += len(logits)
    return Probe(average(each), value_of(objective, each, y), total)


def monotone_transform(ensemble: Ensemble, chunk: Chunk, y: Tensor, objective: Objective) -> Probe:
    """The direction as the gradient of the objective's `ascent`, a strictly increasing function of its value."""
    return plain_gradient(ensemble, chunk, y, objective, objective.ascent)


def plain_gradient(
    ensemble: Ensemble, chunk: Chunk, y: Tensor, objective: Objective, function: Callable[[Tensor, Tensor], Tensor]
) -> Probe:
    """The gradient of any function of the draws' log-probabilities as the direction.

    The function's derivative by the log-probabilities is pulled back through each draw.
    """
    each, passes = _every_draw(ensemble, chunk)
    derivative = _derivative(function, each, y).to(each.dtype)
    total, start = torch.zeros_like(chunk.x), 0
    for logits, pull in passes:
        slope = derivative[start : start + len(logits)]
        pull(slope - logits.softmax(-1) * slope.sum(-1, keepdim=True), total)
        start += len(logits)
    return Probe(average(each), value_of(objective, each, y), total)


def _every_draw(ensemble: Ensemble, chunk: Chunk) -> tuple[Tensor, Iterable[tuple[Tensor, batching.Pull]]]:
    """Log-probabilities (S, n, K) of every draw at a chunk of images, and the pass of each block, to be pulled back.

    Passes that cannot be held at the same time are made again when their turn comes.
    """
    if not can_be_held(ensemble, chunk.x, chunk.blocks):
        again = (batching.forward(ensemble, chunk.x, block) for block in chunk.blocks)
        with torch.no_grad():
            return each_log_probs(ensemble, chunk), again
    passes = [batching.forward(ensemble, chunk.x, block) for block in chunk.blocks]
    return torch.cat([logits.log_softmax(-1) for logits, _ in passes]), passes


def _derivative(function: Callable[[Tensor, Tensor], Tensor], each: Tensor, y: Tensor) -> Tensor:
    """The derivative (S, N, K) of a function by the log-probabilities, in float64 so that small weights are kept."""
    leaf = each.detach().double().requires_grad_()
    with torch.enable_grad():
        (derivative,) = torch.autograd.grad(function(leaf, y).sum(), leaf)
    return derivative


def _against(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log-probabilities (B, N, K), log p[y] (B, N), log(1 - p[y]) (B, N) and the slope (B, N, K), from logits.

    The slope is the derivative of the log odds against y by the logits (B, N, K): -1 at the label, and the softmax of
    the other logits elsewhere.
    """
    log_probs = logits.log_softmax(-1)
    index, others, right, wrong = _log_odds(log_probs, y)
    slope = (others - wrong).exp_().scatter_(-1, index, -1.0)
    return log_probs, right[..., 0], wrong[..., 0], slope


def _log_odds(log_probs: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The parts of the log odds against y, from log-probabilities (B, N, K).

    They are the label as an index (B, N, 1); the log-probabilities with minus infinity at the label (B, N, K);
    log p[y] (B, N, 1); and log(1 - p[y]) (B, N, 1).
    """
    index = y.expand(log_probs.shape[:-1])[..., None]
    right = log_probs.gather(-1, index)
    others = log_probs.scatter(-1, index, -torch.inf)
    return index, others, right, others.logsumexp(-1, keepdim=True)


def _log_weights(objective: Objective, right: Tensor, wrong: Tensor) -> Tensor | None:
    """The objective's `log_weight` (B, N) of each draw of a block; None if it returns None."""
    weights = []
    for right_of_draw, wrong_of_draw in zip(right, wrong, strict=True):
        weight = objective.log_weight(right_of_draw, wrong_of_draw)
        if weight is None:
            return None
        weights.append(weight)
    return torch.stack(weights)


def _relative(log_weight: Tensor, top: Tensor) -> Tensor:
    """Weights as fractions of the largest weight `top`, both given as logarithms."""
    # A weight of zero (minus infinity) stays zero even if the largest weight is zero too.
    return torch.where(log_weight == -torch.inf, 0.0, (log_weight - top).exp())
