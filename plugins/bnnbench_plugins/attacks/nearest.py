"""What attacks that look for the nearest input of another class have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench.authoring import best_of_each

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench import Threat, Victim

ROUNDINGS = 200
"""The rounding of log-probabilities that is allowed for, in units of the last place of the largest one."""


class Nearest:
    """The nearest input for each of N images that has reached the goal.

    An image is left alone if it reaches the goal as it is. A candidate must reach the goal by more than the rounding of
    the log-probabilities: the nearest ones lie on the boundary, where another batch can round to the other side. Until
    a candidate does, the latest one is kept.

    Args:
        victim: the victim; it is asked once.
        x: the clean inputs (N, *shape).
        y: the labels (N,).
        threat: the norm, the box and the goal.

    Attributes:
        inputs: the nearest inputs (N, *shape).
        distance: their distances (N,) from the clean ones, in float64; infinite where no candidate reached the goal.
        clean: log predictive probabilities (N, K) at the clean inputs.
        standing: the positions of the images that do not reach the goal as they are.
    """

    def __init__(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat) -> None:
        import torch

        self._x, self._y, self._threat = x, y, threat
        self.inputs, self.clean = x.clone(), victim.log_probs(x)
        broken = threat.broken(self.clean, y)
        self.distance = torch.where(broken, 0.0, torch.inf).double()
        self.standing = (~broken).nonzero()[:, 0]

    def offer(self, candidates: Tensor, log_probs: Tensor, at: Tensor) -> Tensor:
        """Keep each candidate that reaches the goal and is nearer than the one that is kept.

        Args:
            candidates: inputs (n, *shape).
            log_probs: log predictive probabilities (n, K) at the candidates.
            at: the positions (n,) of their images; each may occur several times.

        Returns whether each candidate reaches the goal, (n,) bool.
        """
        reached = broken = self._clearly_broken(log_probs, self._y[at])
        distance = self._threat.distance(self._x[at], candidates)
        if (chosen := best_of_each(at, broken, -distance)) is not None:
            candidates, broken, distance, at = candidates[chosen], broken[chosen], distance[chosen], at[chosen]
        nearer = broken & (distance < self.distance[at])
        kept = nearer | self.distance[at].isinf()
        self.inputs[at[kept]] = candidates[kept]
        self.distance[at[nearer]] = distance[nearer]
        return reached

    def _clearly_broken(self, log_probs: Tensor, y: Tensor) -> Tensor:
        """Whether the goal is reached even if the class `y` is more or less probable by the rounding, (n,) bool."""
        import torch

        largest = log_probs.where(log_probs.isfinite(), 0.0).abs().amax(-1, keepdim=True)
        rounding = ROUNDINGS * torch.finfo(log_probs.dtype).eps * largest
        return self._threat.broken(log_probs.scatter_add(-1, y[:, None], rounding), y) & self._threat.broken(
            log_probs.scatter_add(-1, y[:, None], -rounding), y
        )
