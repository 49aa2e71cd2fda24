"""NES: projected steps along gradients that are estimated from scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bnnbench import ObjectiveParameter
from bnnbench.authoring import Best, Maximising
from bnnbench_plugins.attacks.query_budget import allowed_queries, blocks, normal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim

_MARGIN: Any = "bnnbench:log-margin"


class EstimatedGradient(Maximising):
    """NES (Ilyas et al. 2018): projected steps as in `pgd`, along a gradient that is estimated from scores.

    The estimate sums random normal directions, each weighted by the difference of the objective a little way along it
    and against it. Points outside of the box are moved into it before they are queried. The result for each image is
    the best iterate, as for `pgd`; under the stream `fresh` it is the last one. Step lengths fall to zero along half a
    cosine.

    An image costs `steps` * (`samples` + 1) + 1 queries. If the threat allows fewer, fewer steps are taken.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative", "gradient-free"})

    objective: ObjectiveParameter = Field(default=_MARGIN)
    """The function that is maximised. By default the margin of the best other class over the label."""
    steps: int = Field(default=20, ge=1)
    """Steps along estimated gradients."""
    samples: int = Field(default=50, ge=2, multiple_of=2)
    """Queries for each estimate, two for each random direction."""
    smoothing: float = Field(default=0.001, gt=0)
    """Standard deviation of each coordinate of the random directions, in widths of the box."""
    relative_step_size: float = Field(default=1.0, gt=0)
    """Length of the first step as a fraction of epsilon."""
    momentum: float = Field(default=0.8, ge=0, lt=1)
    """Share of the last direction in the direction of a step; the rest is the new estimate."""
    random_start: bool = False
    """Start from uniform noise in the ball instead of the clean input."""
    stop_when_broken: bool = True
    """Stop attacking an image once it is misclassified. Softmax robustness is then not reported."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        import torch

        best, direction = Best(x), torch.zeros_like(x)
        current = threat.uniform(x, rng) if self.random_start else x.clone()
        # Each iterate costs a query too: the first one, and one after each step.
        queries = self.steps * (self.samples + 1) + 1
        steps = (allowed_queries(victim, queries, x) - 1).div(self.samples + 1, rounding_mode="floor")
        for step in range(self.steps + 1):
            at = self._attacked(best)
            at = at[step <= steps[at]]
            if len(at) == 0:
                break
            self._judge(victim, best, at, steps[at] == step, current, y, threat)
            at = self._attacked(best)
            at = at[step < steps[at]]
            estimate = self._estimate(victim, at, current, y, threat, rng)
            direction[at] = self.momentum * direction[at] + (1 - self.momentum) * estimate
            length = self.relative_step_size * (1 + torch.cos(math.pi * step / steps[at])) / 2
            move = threat.ascent(current[at], direction[at], length.to(x) * threat.epsilon)
            current[at] = threat.project(x[at], current[at] + move)
        return best.inputs

    def _attacked(self, best: Best) -> Tensor:
        """The positions of the images that are attacked."""
        return best.unbroken if self.stop_when_broken else best.everywhere

    def _judge(
        self, victim: Victim, best: Best, at: Tensor, last: Tensor, current: Tensor, y: Tensor, threat: Threat
    ) -> None:
        """Score the current iterates of the images at these positions (n,); `last` (n,) bool tells which are the last.

        Under `fresh` only those are candidates for the result.
        """
        log_probs, value = victim.among(at).score(current[at], y[at], self.objective)
        broken, kept = threat.broken(log_probs, y[at]), last | (threat.stream != "fresh")
        best.offer(current[at[kept]], broken[kept], value[kept], at[kept])
        best.pass_by(broken, value, at)
        victim.record("objective", best.latest_value)
        victim.record("broken", best.latest_broken)

    def _estimate(
        self, victim: Victim, at: Tensor, current: Tensor, y: Tensor, threat: Threat, rng: torch.Generator
    ) -> Tensor:
        """The gradient (n, *shape) at the current iterates of the images at these positions, up to a positive factor.

        `current` (N, *shape) holds the iterates of all images.
        """
        import torch

        centre, width = current[at], self.smoothing * threat.width
        total = torch.zeros_like(centre)
        for pairs in blocks(self.samples // 2, current):
            # Numbers are drawn for all images, so that an image that is no longer attacked changes no other.
            along = normal((pairs, *current.shape), current, rng)[:, at]
            if len(at) == 0:
                continue
            points = torch.cat([centre + width * along, centre - width * along]).clamp(*threat.box)
            asked = at.repeat(2 * pairs)
            values = victim.among(asked).value(points.flatten(0, 1), y[asked], self.objective)
            ahead, behind = values.view(2, pairs, len(at))
            # Where a probability is zero the objective is infinite: then only the sign of the difference counts.
            slopes = (ahead - behind).nan_to_num(nan=0.0, posinf=1.0, neginf=-1.0)
            total += (slopes.view(*slopes.shape, *[1] * (centre.ndim - 1)) * along).sum(0)
        return total

    @property
    def stops_early(self) -> bool:
        return self.stop_when_broken

    def stronger(self) -> EstimatedGradient:
        return self.model_copy(update={"steps": 2 * self.steps})
