"""HopSkipJump: the nearest misclassified input, from decisions alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Attack
from bnnbench_plugins.attacks.query_budget import allowed_queries

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim

FEWEST_SAMPLES = 8
"""The smallest number of random moves that a step is worth."""


class HopSkipJump(Attack):
    """HopSkipJump (Chen et al. 2020): looks for the nearest misclassified input with predicted classes alone.

    From a misclassified start the attack bisects to the boundary between right and wrong. Each step then estimates the
    direction across the boundary: of many small random moves, those that stay misclassified are compared with all. The
    step along it is halved until it stays misclassified, and the attack bisects again.

    Starts are inputs blended with uniform noise. Where none of them reaches the goal, the start is the nearest input of
    the batch whose predicted class does; only such a start depends on the other images. Under the stream
    `fresh` a decision is that of the draws of one query. Raises `Incompatible` for the l1 norm.
    """

    revision: ClassVar[int | None] = 2
    traits: ClassVar[frozenset[str]] = frozenset({"iterative", "gradient-free", "minimal-norm"})

    queries: int = Field(default=2500, ge=1)
    """Largest number of queries for each image. A smaller budget of the threat holds instead."""
    steps: int = Field(default=100, ge=1)
    """Largest number of steps; most often the queries are spent before."""
    first_samples: int = Field(default=100, ge=1)
    """Random moves of the first step; step t makes sqrt(t) times as many."""
    start_tries: int = Field(default=50, ge=1)
    """Largest number of random starts that are tried for each image."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        from bnnbench_plugins.attacks.boundary_walk import Walk

        walk = Walk(victim, x, y, threat, rng, allowed_queries(victim, self.queries, x))
        at = walk.start(self.start_tries)
        walk.bisect(at)
        for step in range(1, self.steps + 1):
            # The queries of bisecting are kept back.
            at = at[walk.left[at] > FEWEST_SAMPLES + walk.halvings]
            if len(at) == 0:
                break
            direction = walk.across(at, math.ceil(self.first_samples * math.sqrt(step)))
            walk.bisect(walk.move(at, direction, step))
            victim.record("distance", walk.distance)
        return walk.nearest

    @property
    def goals(self) -> frozenset[str]:
        return frozenset(["untargeted", "targeted"])

    @property
    def norms(self) -> frozenset[str]:
        return frozenset(["linf", "l2"])

    def stronger(self) -> HopSkipJump:
        return self.model_copy(update={"queries": 2 * self.queries})
