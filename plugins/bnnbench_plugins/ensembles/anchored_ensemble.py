"""Ensembles of networks that are drawn to samples of the prior."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, NormalPrior, Progress, no_progress
from bnnbench.authoring import kept_buffers, member_seeds
from bnnbench_plugins.ensembles.members import Members
from bnnbench_plugins.torch.minibatch import MinibatchTraining, Start

if TYPE_CHECKING:
    from torch import Tensor, nn


class AnchoredEnsemble(MinibatchTraining, NormalPrior, Members):
    """Anchored ensemble (Pearce et al. 2020): each member is the most probable network under a prior around an anchor.

    The anchor of a member is a draw of the prior, N(0, prior_scale^2) for every weight and bias. The member minimises
    the negative log-likelihood of all training points plus |weights - anchor|^2 / (2 prior_scale^2), by minibatches.
    Weights that the data do not determine keep the spread of the prior. For a linear network with normal noise the
    spread of the others is too small: the anchors vary the prior and not the data.
    """

    revision: ClassVar[int | None] = 1

    epochs: int = Field(default=40, ge=1)
    """Passes over the training data of each member."""

    def fit_part(
        self, network: nn.Module, data: Data, *, seed: int, part: int, progress: Progress = no_progress
    ) -> Draws:
        """The weights of one member as one draw: arrays (1, 1, *weight).

        Diagnostics: `loss`, the mean objective of the last epoch in nats for each training point, and `seconds`, the
        wall time. Raises `Incompatible` for a network without parameters, `FloatingPointError` if training diverges.
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
        return Draws(
            {name: weight[None, None] for name, weight in weights.items()},
            shared=kept_buffers(start.network),
            diagnostics={"loss": [final], "seconds": time.perf_counter() - began},
        )
