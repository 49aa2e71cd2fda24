"""Laplace approximations of the posterior of a network's weights.

The log joint density of data and weights, log p(D | w) - |w|^2 / (2 s^2) with the prior scale s, is trained to its
maximum w*. The posterior is approximated by

    q(w) = N(w*, H^-1),        H = GGN + I / s^2,

with the generalised Gauss-Newton matrix GGN of the likelihood at w*, summed over all training points (`curvature`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bnnbench import Data, Draws, Incompatible, NormalPrior, Posterior, Predictive, Progress, no_progress
from bnnbench.authoring import BatchNormStatistics, fresh_network, kept_buffers, recalibrated
from bnnbench_plugins.torch.minibatch import MinibatchTraining, Start

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench_plugins.laplace.blocks import Block

LARGEST_FULL = 12_000
"""Largest number of weights with a full matrix: it takes 1.2 GB, and so does its Cholesky factor."""
_NEAR = 0.02
"""The `shift` at which Newton steps end."""
_LARGEST_SHIFT = 0.1
"""Largest `shift` of a training that counts as finished, in standard deviations of each weight."""


class Laplace(MinibatchTraining, BatchNormStatistics, NormalPrior, Posterior):
    """A normal distribution around the trained weights (MacKay 1992; Ritter et al. 2018; Daxberger et al. 2021).

    The network is trained to the maximum of the posterior density (MAP). The precision of the normal distribution is
    the generalised Gauss-Newton matrix of the likelihood there, summed over the training points, plus that of the
    prior. Its draws are independent. A sampled network that is not linear in its weights fits worse than the trained
    one, because the matrix is that of a linear model. So the predictive is that of the linear model unless
    `linearised` is false (Immer et al. 2021).
    """

    revision: ClassVar[int | None] = 1
    independent_draws: ClassVar[bool] = True

    hessian: Literal["full", "kronecker", "diagonal"] = "kronecker"
    """The part of the matrix that is kept. `full`: all of it. `kronecker`: of each linear layer and convolution the
    Kronecker product of two factors (Martens and Grosse 2015), and of other weights the diagonal. `diagonal`: the
    diagonal."""
    weights: Literal["all", "last-layer"] = "last-layer"
    """The weights that are drawn. `last-layer`: those of the last linear layer; all others are the trained ones, and
    all draws share them."""
    linearised: bool = True
    """Whether a draw w is the function f(x, w*) + J(x) (w - w*) instead of the network f(x, w). For `weights:
    last-layer` both are the same, and the network is taken."""
    epochs: int = Field(default=100, ge=1)
    """Passes over the training data. With too few, the weights do not reach the maximum."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Step size of the optimizer; under the one-cycle schedule, its largest value."""
    newton_steps: int = Field(default=10, ge=0)
    """Largest number of steps -H^-1 g of the drawn weights after the training, with the gradient g at all training
    points. They end where the maximum is near. Each computes the curvature anew."""

    @model_validator(mode="after")
    def _linear_functions_have_one_statistic(self) -> Self:
        if self.gives_functions and self.batch_norm == "recalibrated":
            raise ValueError("batch_norm: recalibrated needs networks as draws: set linearised: false")
        return self

    @property
    def gives_functions(self) -> bool:
        """Whether the draws are linear functions of the weights, and not networks."""
        return self.linearised and self.weights == "all"

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise `Incompatible` if the network has no last linear layer, or too many weights for a full matrix."""
        self._names(fresh_network(network, 0), data.train[0][:2])

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Independent draws from the normal distribution: arrays (1, draws, *weight).

        Diagnostics:
            loss: mean training loss of the last epoch, without the penalty, in nats.
            gradient_norm: norm of the gradient of the log joint density in the drawn weights.
            shift: distance from the trained weights to the maximum, as gradient and matrix tell, in standard
                deviations: the root of its mean square over the drawn weights. It is 0 at the maximum.
            log_evidence: the approximate log marginal likelihood, in nats (MacKay 1992), of a model with the other
                weights fixed.
            newton_steps: number of Newton steps that were made.
            unfinished: text, if `shift` is far from 0.
            seconds: wall time.

        Raises `Incompatible` as `check` does, `FloatingPointError` if the training diverges.
        """
        from torch.nn.functional import cross_entropy

        from bnnbench_plugins.laplace.linearised import with_mode

        began = time.perf_counter()
        start = Start(network, data, seed)
        trained, x = start.network, start.x
        names = self._names(trained, x[:2])
        weights: dict[str, Tensor] = dict(trained.named_parameters())
        penalty = 1 / (len(x) * self.prior_scale**2)
        final = self.minimise(
            lambda x, y: cross_entropy(trained(x), y), list(weights.values()), start, progress, penalty
        )
        mode = {name: weights[name] for name in names}
        blocks, figures = self._at_the_maximum(trained, mode, start)
        deviations = {name: array for block in blocks for name, array in block.draw(self.draws, start.noise).items()}
        draws = Draws(
            {name: (weight.double() + deviations[name]).to(weight.dtype)[None] for name, weight in mode.items()},
            shared=kept_buffers(trained) | {name: weight for name, weight in weights.items() if name not in mode},
            diagnostics={"loss": final, **figures, "seconds": time.perf_counter() - began},
        )
        if self.gives_functions:
            return with_mode(draws, mode)
        return recalibrated(draws, network, x) if self.batch_norm == "recalibrated" else draws

    def predictive(self, network: nn.Module, draws: Draws) -> Predictive:
        """The predictive of the draws: of linear functions of the weights, or of networks."""
        from bnnbench_plugins.laplace.linearised import Linearised

        return Linearised(network, draws) if self.gives_functions else Predictive(network, draws)

    def _names(self, network: nn.Module, x: Tensor) -> list[str]:
        """The names of the weights that are drawn. Raises `Incompatible` as `check` says."""
        from bnnbench_plugins.torch.logit_layer import last_linear_layer

        found = dict(network.named_parameters())
        if self.weights == "last-layer":
            prefix = last_linear_layer(network, x.to(next(network.parameters()).device)) + "."
            # The layer of a network that is one linear layer has no name.
            found = {name: weight for name, weight in found.items() if name.startswith(prefix.removeprefix("."))}
        size = sum(weight.numel() for weight in found.values())
        if self.hessian == "full" and size > LARGEST_FULL:
            raise Incompatible(
                f"hessian: full takes at most {LARGEST_FULL:,} weights, and there are {size:,}: choose hessian: "
                "kronecker or diagonal" + (", or weights: last-layer" if self.weights == "all" else "")
            )
        return list(found)

    def _at_the_maximum(
        self, network: nn.Module, mode: dict[str, Tensor], start: Start
    ) -> tuple[list[Block], dict[str, float | str]]:
        """The normal distribution of some weights of a trained network, after Newton steps, and the diagnostics."""
        from bnnbench_plugins.laplace.blocks import log_evidence
        from bnnbench_plugins.laplace.maximum import Joint

        joint = Joint(network, mode, self.prior_scale**-2, start.x, start.y)
        size = sum(weight.numel() for weight in mode.values())
        for step in range(self.newton_steps + 1):
            blocks, gradient = self._blocks(network, mode, start.x), joint.gradient()
            shift = (sum(block.squared_length(gradient) for block in blocks) / size) ** 0.5
            if shift <= _NEAR or step == self.newton_steps or not joint.step(blocks, gradient):
                break
        figures: dict[str, float | str] = {
            "gradient_norm": sum(slope.square().sum().item() for slope in gradient.values()) ** 0.5,
            "shift": shift,
            "newton_steps": step,
            "log_evidence": log_evidence(blocks, joint.value(), size, self.prior_scale),
        }
        if shift > _LARGEST_SHIFT:
            figures["unfinished"] = (
                f"the training ended early: the maximum of the density is {shift:.2f} standard deviations away in "
                "each weight (more epochs)"
            )
        return blocks, figures

    def _blocks(self, network: nn.Module, drawn: dict[str, Tensor], x: Tensor) -> list[Block]:
        """The normal distribution of the drawn weights as independent blocks."""
        import torch

        from bnnbench_plugins.laplace import blocks, curvature

        prior = self.prior_scale**-2
        if self.hessian == "full":
            matrix = curvature.full(network, drawn, x)
            return [blocks.FullBlock(drawn, matrix + prior * torch.eye(len(matrix)).to(matrix))]
        made: list[Block] = []
        rest = dict(drawn)
        if self.hessian == "kronecker":
            layers = curvature.kronecker_layers(network, x[:2])
            names = {weight: name for name, weight in network.named_parameters()}
            own = {name: [names[weight] for weight in layer.parameters()] for name, layer in layers.items()}
            layers = {name: layer for name, layer in layers.items() if set(own[name]) <= set(drawn)}
            for name, (of_inputs, of_outputs) in curvature.kronecker_factors(network, layers, x).items():
                group = {weight: rest.pop(weight) for weight in own[name]}
                made.append(blocks.KroneckerBlock(group, of_inputs, of_outputs, prior))
        if rest:
            made.append(blocks.DiagonalBlock(rest, curvature.diagonal(network, rest, x) + prior))
        return made
