"""The numerics of `Predictive`: log-probabilities, gradients and directions of whole batches of images.

Sums over draws are accumulated over blocks of draws and chunks of images, so that memory does not grow with the number
of draws. The sizes of blocks and chunks change results by rounding only. `batching` evaluates the draws, `directions`
differentiates objectives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from bnnbench.core.ensemble import batching, chunks, directions
from bnnbench.core.ensemble.chunks import Chunk, labelled_chunks
from bnnbench.core.ensemble.directions import Probe
from bnnbench.core.ensemble.precision import fast_products
from bnnbench.core.ensemble.protocol import Ensemble
from bnnbench.core.objective import Objective
from bnnbench.core.standard_settings import standard_settings


def log_probs(ensemble: Ensemble, x: Tensor, draws: Sequence[int]) -> Tensor:
    """Log predictive probabilities (N, K) of the draws at inputs x (N, *shape), differentiable in x.

    If x requires a gradient and the activations of all draws exceed the budget, they are not kept: the backward pass
    evaluates each block of draws again, so that memory stays bounded. Under the transforms of `torch.func`, which
    cannot evaluate again, they are kept.
    """
    with standard_settings(gradients=False):
        image = x[:1].to(ensemble.device, ensemble.dtype)
        budget = chunks.budget(ensemble.device)
        activations = batching.footprint(ensemble, image).activations * len(x) * len(draws)
        recompute = torch.is_grad_enabled() and x.requires_grad and activations > budget and _can_recompute()
        return torch.cat([_mean_log_probs(ensemble, chunk, recompute) for chunk in chunks.chunks(ensemble, x, draws)])


def draw_log_probs(ensemble: Ensemble, x: Tensor, draws: Sequence[int]) -> Tensor:
    """Log-probabilities (S, N, K) of each draw at inputs x (N, *shape), without gradient."""
    with standard_settings(), torch.no_grad(), fast_products(ensemble.device):
        return torch.cat(
            [directions.each_log_probs(ensemble, chunk) for chunk in chunks.chunks(ensemble, x, draws)], dim=1
        )


def gradient(ensemble: Ensemble, x: Tensor, y: Tensor, objective: Objective, draws: Sequence[int]) -> Tensor:
    """The gradient (N, *shape) of the objective's value at inputs x (N, *shape) with labels y (N,)."""
    held = not directions.declares(objective, "log_weight")
    with standard_settings(), fast_products(ensemble.device):
        parts = [
            directions.true_gradient(ensemble, chunk, labels, objective)
            for chunk, labels in labelled_chunks(ensemble, x, y, draws, held=held)
        ]
    return torch.cat(parts).to(x)


def probe(ensemble: Ensemble, x: Tensor, y: Tensor, objective: Objective, draws: Sequence[int]) -> Probe:
    """Log predictive probabilities, the objective's value and its direction at inputs x (N, *shape) with labels y (N,).

    It takes one pass over the draws if the objective has a `log_weight`, or if all passes can be held at the same time,
    and two otherwise.
    """
    held = not directions.declares(objective, "log_weight")
    with standard_settings(), fast_products(ensemble.device):
        parts = [
            directions.direction(ensemble, chunk, labels, objective)
            for chunk, labels in labelled_chunks(ensemble, x, y, draws, held=held)
        ]
    log_probabilities, value, direction = (torch.cat(pieces) for pieces in zip(*parts, strict=True))
    return Probe(log_probabilities.to(x), value.to(x), direction.to(x))


def log_odds_against(logits: Tensor, y: Tensor) -> Tensor:
    """The log odds log(1 - p[y]) - log p[y] against the labels y (N,), (N,), from logits (N, K).

    They are computed without forming probabilities, so that they do not underflow.
    """
    is_label = torch.nn.functional.one_hot(y, logits.shape[-1]).bool()
    return logits.masked_fill(is_label, -torch.inf).logsumexp(-1) - logits.gather(1, y[:, None])[:, 0]


def mean_entropy(each: Tensor) -> Tensor:
    """The mean entropy (N,) of the draws in nats, from their log-probabilities (S, N, K)."""
    probabilities = each.exp()
    return -(probabilities * each.masked_fill(probabilities == 0, 0)).sum(-1).mean(0)


def _can_recompute() -> bool:
    """Whether `checkpoint` works here: it needs hooks on saved tensors, which the transforms of `torch.func` refuse."""
    try:
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor):
            return True
    except RuntimeError:
        return False


def _mean_log_probs(ensemble: Ensemble, chunk: Chunk, recompute: bool) -> Tensor:
    """Log predictive probabilities (n, K) at a chunk of images. `recompute` blocks in the backward pass."""

    def log_sum(x: Tensor, block: list[int]) -> Tensor:
        return batching.logits(ensemble, x, block).log_softmax(-1).logsumexp(0)

    total = None
    for block in chunk.blocks:
        part = (
            checkpoint(log_sum, chunk.x, block, use_reentrant=False, preserve_rng_state=False)
            if recompute
            else log_sum(chunk.x, block)
        )
        total = part if total is None else torch.logaddexp(total, part)
    assert total is not None
    return total - math.log(sum(len(block) for block in chunk.blocks))
