"""Adversarial training: one network, trained on the inputs of an attack."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from bnnbench import Data, Threat
from bnnbench_plugins.torch.minibatch import Start
from bnnbench_plugins.torch.sgd import PointEstimate

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class AdversarialSgd(PointEstimate):
    """One network, trained on adversarial inputs (Madry et al. 2018): the strong line that is not Bayesian.

    It minimises the mean over the training points of max L(x + d, y) over all d in the ball of radius `epsilon` with
    x + d in the box of the data, where L is the cross-entropy. The maximum is approached by projected gradient ascent
    at every minibatch: x_0 = x + noise, x_(t+1) = project(x_t + step * steepest(grad L(x_t, y))), and the network is
    trained on the last iterate alone. The ascent has the network in eval mode, as it will be attacked: batch norm
    gathers its statistics, and dropout acts, in the training step alone.

    The ascent is written here and is no registered attack: attacks follow a fixed predictive, with a copy of its
    weights and every run scored, and these weights change at each step. The balls are those of all attacks.
    """

    revision: ClassVar[int | None] = 1

    epochs: int = Field(default=50, ge=1)
    """Passes over the training data. Adversarial training needs more of them than `sgd`."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Step size of the optimizer; under the one-cycle schedule, its largest value."""
    epsilon: float = Field(default=0.1, ge=0)
    """Radius of the ball around each training input, in the units of the data. 0 trains on the inputs as they are."""
    norm: Literal["linf", "l2", "l1"] = "linf"
    """Norm of the ball."""
    steps: int = Field(default=7, ge=1)
    """Gradient steps of the ascent."""
    relative_step_size: float | None = Field(default=None, gt=0)
    """Length of each step as a fraction of epsilon. By default 2.5 / `steps`, as in the paper."""
    random_start: bool = True
    """Start from uniform noise in the ball instead of the clean input."""

    def loss(self, start: Start, data: Data) -> Callable[[Tensor, Tensor], Tensor]:
        import torch
        from torch.nn.functional import cross_entropy

        threat = Threat(self.epsilon, norm=self.norm, bounds=data.bounds)
        # Noise is drawn on the CPU, so that it is the same on every device.
        noise = torch.Generator().manual_seed(start.noise.initial_seed())

        def adversarial_loss(x: Tensor, y: Tensor) -> Tensor:
            with start.evaluating():
                attacked = self._attacked(start, threat, noise, x, y) if self.epsilon else x
            return cross_entropy(start.network(attacked), y)

        return adversarial_loss

    def _attacked(self, start: Start, threat: Threat, noise: torch.Generator, x: Tensor, y: Tensor) -> Tensor:
        """The last iterates (N, *shape) of projected gradient ascent from inputs x (N, *shape) with labels y (N,)."""
        import torch
        from torch.nn.functional import cross_entropy

        current = threat.uniform(x, noise) if self.random_start else x
        length = self.epsilon * (self.relative_step_size or 2.5 / self.steps)
        for _ in range(self.steps):
            current = current.detach().requires_grad_()
            loss = cross_entropy(start.network(current), y, reduction="sum")
            (direction,) = torch.autograd.grad(loss, current)
            with torch.no_grad():
                current = threat.project(x, current + threat.ascent(current, direction, length))
        return current.detach()
