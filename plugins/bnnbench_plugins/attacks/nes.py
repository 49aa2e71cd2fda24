"""NES: projected steps along gradients that are estimated from scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bnnbench import ObjectiveParameter
from bnnbench.authoring import Best, Maximising
from bnnbench_plugins.attacks.query_budget import allowed_queries, blocks, normal, uniform

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

    In the l1 ball a step moves the steepest coordinates alone, which the noise of such a sum hides. There each pair of
    queries moves a single coordinate, in a random order that is gone through again and again, and the latest slope of
    each coordinate counts.

    An image costs `steps` * (`samples` + 1) + 1 queries. If the threat allows fewer, fewer steps are taken.
    """

    revision: ClassVar[int | None] = 2
    traits: ClassVar[frozenset[str]] = frozenset({"iterative", "gradient-free"})

    objective: ObjectiveParameter = Field(default=_MARGIN)
    """The function that is maximised. By default the margin of the best other class over the label."""
    steps: int = Field(default=20, ge=1)
    """Steps along estimated gradients."""
    samples: int = Field(default=50, ge=2, multiple_of=2)
    """Queries for each estimate, two for each random direction."""
    smoothing: float = Field(default=0.001, gt=0)
    """Standard deviation of each coordinate of the random directions, in widths of the box; in the l1 ball, how far a
    coordinate is moved."""
    relative_step_size: float = Field(default=1.0, gt=0)
    """Length of the first step as a fraction of epsilon."""
    momentum: float = Field(default=0.8, ge=0, lt=1)
    """Share of the last direction in the direction of a step; the rest is the new estimate. Not used in the l1 ball."""
    random_start: bool = False
    """Start from uniform noise in the ball instead of the clean input."""
    stop_when_broken: bool = True
    """Stop attacking an image once it is misclassified. Softmax robustness is then not reported."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        import torch

        best, direction = Best(x), torch.zeros_like(x)
        current = threat.uniform(x, rng) if self.random_start else x.clone()
        order = uniform(tuple(x.flatten(1).shape), x, rng).argsort(1) if threat.norm == "l1" else None
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
            if order is None:
                estimate = self._estimate(victim, at, current, y, threat, rng)
                direction[at] = self.momentum * direction[at] + (1 - self.momentum) * estimate
            elif len(at):
                chosen = order.roll(-step * (self.samples // 2), 1)[at]
                direction[at] = self._renewed(victim, at, direction[at], chosen, current, y, threat)
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
            slopes = self._rises(victim, at, points, y)
            total += (slopes.view(*slopes.shape, *[1] * (centre.ndim - 1)) * along).sum(0)
        return total

    def _renewed(
        self, victim: Victim, at: Tensor, slopes: Tensor, order: Tensor, current: Tensor, y: Tensor, threat: Threat
    ) -> Tensor:
        """The slopes (n, *shape) of the objective along each coordinate, those of a few coordinates estimated anew.

        `slopes` are the latest ones, of the images at these positions (n,), and `order` (n, d) has the coordinates that
        are to be moved first. If there are fewer than the queries suffice for, they are moved several times.
        """
        import torch

        centre, width, known, done = current[at].flatten(1), self.smoothing * threat.width, slopes.flatten(1), 0
        for pairs in blocks(self.samples // 2, current):
            chosen = order[:, torch.arange(done, done + pairs, device=at.device) % order.shape[1]]
            done += pairs
            at_rest = centre.gather(1, chosen)
            ends = torch.stack([at_rest + width, at_rest - width]).clamp(*threat.box)
            places = chosen.T[..., None].expand(2, pairs, len(at), 1)
            points = centre.expand(2, pairs, *centre.shape).scatter(-1, places, ends.transpose(1, 2)[..., None])
            rises = self._rises(victim, at, points.view(2 * pairs, len(at), *slopes.shape[1:]), y)
            apart = (ends[0] - ends[1]).clamp(min=torch.finfo(ends.dtype).tiny)
            known = known.scatter(1, chosen, rises.T / apart)
        return known.view_as(slopes)

    def _rises(self, victim: Victim, at: Tensor, points: Tensor, y: Tensor) -> Tensor:
        """How much larger the objective is at the first half of some points than at the other half, (pairs, n).

        The points (2 * pairs, n, *shape) belong to the images at these positions (n,).
        """
        asked = at.repeat(len(points))
        values = victim.among(asked).value(points.flatten(0, 1), y[asked], self.objective)
        ahead, behind = values.view(2, len(points) // 2, len(at))
        # Where a probability is zero the objective is infinite: then only the sign of the difference counts.
        return (ahead - behind).nan_to_num(nan=0.0, posinf=1.0, neginf=-1.0)

    @property
    def stops_early(self) -> bool:
        return self.stop_when_broken

    def stronger(self) -> EstimatedGradient:
        return self.model_copy(update={"steps": 2 * self.steps})
