"""Ensembles of networks that are drawn to samples of the prior."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, NormalPrior, Progress, no_progress
from bnnbench.authoring import chain_texts, kept_buffers, member_seeds
from bnnbench_plugins.ensembles.members import Members
from bnnbench_plugins.torch.minibatch import MinibatchTraining, Start

if TYPE_CHECKING:
    from torch import Tensor, nn

_LARGEST_SHIFT = 0.2
"""Largest `shift` of a training that counts as finished."""
_TOGETHER = 1000
"""The largest number of inputs whose gradients are computed together."""


class AnchoredEnsemble(MinibatchTraining, NormalPrior, Members):
    """Anchored ensemble (Pearce et al. 2020): each member is the most probable network under a prior around an anchor.

    The anchor of a member is a draw of the prior, N(0, prior_scale^2) for every weight and bias. The member minimises
    the negative log-likelihood of all training points plus |weights - anchor|^2 / (2 prior_scale^2), by minibatches,
    from the network's own initial weights. Weights that the data do not determine come to have the spread of the prior.
    That takes a long training, and the diagnostic `shift` tells how far it is from its end. For a linear network with
    normal noise the spread of the others is too small: the anchors vary the prior and not the data.
    """

    revision: ClassVar[int | None] = 2

    epochs: int = Field(default=200, ge=1)
    """Passes over the training data of each member. With too few, weights stay between their start and the anchor."""
    learning_rate: float = Field(default=0.05, gt=0)
    """Step size of the optimizer; under the one-cycle schedule, its largest value."""

    def fit_part(
        self, network: nn.Module, data: Data, *, seed: int, part: int, progress: Progress = no_progress
    ) -> Draws:
        """The weights of one member as one draw: arrays (1, 1, *weight).

        Diagnostics: `loss`, the mean objective of the last epoch in nats for each training point; `shift`, the norm of
        the objective's gradient at all training points times prior_scale / sqrt(number of weights); `unfinished`, a
        text, if `shift` is far from 0; and `seconds`, the wall time. Where the objective is at least as convex as its
        penalty, the root mean square of the distance to its minimum is at most `shift`, in standard deviations of the
        prior. It is computed in eval mode, so that it says nothing of networks with batch norm or dropout, and they
        have no `unfinished`. Raises `Incompatible` for a network without parameters, `FloatingPointError` if training
        diverges.
        """
        import torch
        from torch.nn.functional import cross_entropy

        began = time.perf_counter()
        fit_seed, anchor_seed = member_seeds(seed, part)
        start = Start(network, data, fit_seed)
        weights = dict(start.network.named_parameters())
        random = torch.Generator().manual_seed(anchor_seed)
        anchors = [
            self.prior_scale * torch.randn(weight.shape, generator=random).to(weight.device)
            for weight in weights.values()
        ]
        strength = 0.5 / (self.prior_scale**2 * len(start.x))

        def loss(x: Tensor, y: Tensor) -> Tensor:
            pulls = [(weight - anchor).square().sum() for weight, anchor in zip(weights.values(), anchors, strict=True)]
            return cross_entropy(start.network(x), y) + strength * torch.stack(pulls).sum()

        final = self.minimise(loss, list(weights.values()), start, progress)
        shift = self.prior_scale * _mean_slope(loss, list(weights.values()), start)
        diagnostics: dict[str, Any] = {"loss": [final], "shift": [shift]}
        if shift > _LARGEST_SHIFT and not chain_texts(start.network, "dispersed"):
            diagnostics["unfinished"] = (
                "the training of members ended early: their gradients are far from 0 (more epochs)"
            )
        return Draws(
            {name: weight[None, None] for name, weight in weights.items()},
            shared=kept_buffers(start.network),
            diagnostics={**diagnostics, "seconds": time.perf_counter() - began},
        )


def _mean_slope(loss: Callable[[Tensor, Tensor], Tensor], weights: Sequence[Tensor], start: Start) -> float:
    """The root mean square, over the weights, of the derivatives of a mean loss times the number of training points."""
    import torch

    total = [torch.zeros_like(weight) for weight in weights]
    for x, y in zip(start.x.split(_TOGETHER), start.y.split(_TOGETHER), strict=True):
        slopes = torch.autograd.grad(len(x) * loss(x, y), weights)
        total = [one + slope for one, slope in zip(total, slopes, strict=True)]
    squares = sum(one.double().square().sum().item() for one in total)
    return (squares / sum(weight.numel() for weight in weights)) ** 0.5
