"""DeepFool."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Attack, objective
from bnnbench_plugins.attacks.nearest import Nearest
from bnnbench_plugins.attacks.targets import likely_others

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim


class DeepFool(Attack):
    """DeepFool (Moosavi-Dezfooli et al. 2016, Algorithm 2): steps to the nearest boundary of the linearised classifier.

    At each step the margins of other classes over the label, in log predictive probability, are replaced by their
    tangents. The image moves to where the first of them reaches zero: by |f| / |g|^2 times the gradient g of the margin
    f in the l2 norm, and by |f| / |g|_1 times its sign in the linf norm. In the l1 norm it moves by |f| / |g|_inf, the
    steepest coordinates first, each to the end of the box. The moves are added up, lengthened by `overshoot`, and
    clipped to the box, until another class is predicted. One run serves all radii.

    Each step takes a query for every class that is compared. The lengths of steps need true gradients, so the attack is
    weak where these vanish, as between draws that are certain of different classes: a step is at most as long as the
    box is wide, and an image whose gradients are all zero is left where it is. `fmn` does not need their lengths.

    Under the stream `fresh` each query sees other draws, so the result is one that met vulnerable draws.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative", "minimal-norm"})

    steps: int = Field(default=50, ge=1)
    """The largest number of steps."""
    classes: int = Field(default=9, ge=1)
    """Number of other classes whose boundaries are compared, the most probable at the clean input."""
    overshoot: float = Field(default=0.02, gt=0)
    """The fraction by which moves are lengthened, so that they cross the boundary."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        nearest = Nearest(victim, x, y, threat)
        at, log_probs, moved = nearest.standing, nearest.clean[nearest.standing], x[nearest.standing]
        likely = likely_others(nearest.clean, y, self.classes)
        for _ in range(self.steps):
            if len(at) == 0:
                break
            asked = victim.among(at)
            step = self._step(asked, moved, y[at], log_probs, likely[at], threat)
            moved = (moved + step).clamp(*threat.box)
            beyond = (moved + self.overshoot * (moved - x[at])).clamp(*threat.box)
            broken = nearest.offer(beyond, asked.log_probs(beyond), at)
            asked.record("reached", broken)
            standing = ~broken & step.flatten(1).any(1)
            at, moved = at[standing], moved[standing]
            log_probs = victim.among(at).log_probs(moved)
        return nearest.inputs

    def _step(
        self, asked: Victim, points: Tensor, y: Tensor, log_probs: Tensor, likely: Tensor, threat: Threat
    ) -> Tensor:
        """The shortest step (n, *shape) to the boundary of a linearised margin, at points with labels y (n,).

        Args: log-probabilities (n, K) at the points, and the classes that are compared, `likely` (n, count).
        """
        import torch

        best, shortest = torch.zeros_like(points), points.new_full((len(points),), torch.inf, dtype=torch.float64)
        margins = (log_probs - log_probs.gather(1, y[:, None])).double()
        for target in range(log_probs.shape[-1]):
            of = (likely == target).any(-1).nonzero()[:, 0]
            if len(of) == 0:
                continue
            aim = objective("bnnbench:class-margin", target=target)
            gradient = asked.among(of).gradient(points[of], y[of], aim)
            slope = threat.dual(gradient)
            length = (margins[of, target].abs() / slope).where(slope > 0, torch.inf)
            nearer = length < shortest[of]
            chosen = of[nearer]
            shortest[chosen] = length[nearer]
            reach = length[nearer].clamp(max=threat.epsilon).to(points)
            best[chosen] = threat.ascent(points[chosen], gradient[nearer], reach)
        return best

    @property
    def goals(self) -> frozenset[str]:
        return frozenset(["untargeted"])

    def stronger(self) -> DeepFool:
        return self.model_copy(update={"steps": 2 * self.steps})
