"""Square Attack: random search with scores alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bnnbench import ObjectiveParameter
from bnnbench.authoring import Best, Maximising
from bnnbench_plugins.attacks.query_budget import allowed_queries

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim
    from bnnbench_plugins.attacks.square_windows import Windows

_MARGIN: Any = "bnnbench:log-margin"
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""The shares of a run's steps after which the windows cover half as many coordinates."""


class SquareAttack(Maximising):
    """Square Attack (Andriushchenko et al. 2020): random changes in square windows; each is kept if it does not harm.

    In the linf ball a window moves to a side of the ball, each channel to a side of its own. In the l2 ball a bump is
    added there, and the whole is scaled to the surface of the ball. In the l1 ball a bump as long as epsilon is added,
    and the whole is projected into ball and box. Windows shrink as the search goes on. Images (C, H, W) have square
    windows; inputs (D,) have windows of neighbouring features. Inputs of eight coordinates or fewer have no windows:
    all coordinates move at random, by ever less.

    The attack uses scores and no gradient. Only success counts for the search, so by default an image is left alone as
    soon as it is misclassified. Under the stream `fresh` the current point and the candidate are scored by the same
    draws, which takes two queries; only the last point of each run is a candidate for the result, as for `pgd`.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"iterative", "gradient-free"})

    objective: ObjectiveParameter = Field(default=_MARGIN)
    """The function that is maximised. By default the margin of the best other class over the label."""
    queries: int = Field(default=1000, ge=1)
    """Largest number of queries for each image, all restarts together. A smaller budget of the threat holds instead."""
    restarts: int = Field(default=1, ge=1)
    """Number of runs that share the queries, each with a random start of its own."""
    first_share: float = Field(default=0.8, gt=0, le=1)
    """Share of an image's coordinates that the first windows cover."""
    stop_when_broken: bool = True
    """Stop attacking an image once it is misclassified. Softmax robustness is then not reported."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        from bnnbench_plugins.attacks.square_windows import Windows

        best, windows = Best(x), Windows(x)
        allowed = allowed_queries(victim, self.queries, x)
        for run in range(self.restarts):
            budget = allowed // self.restarts + (run < allowed % self.restarts)
            search = self._search_fresh if threat.stream == "fresh" else self._search
            search(victim, best, windows, budget, x, y, threat, rng)
        return best.inputs

    def _search(
        self,
        victim: Victim,
        best: Best,
        windows: Windows,
        budget: Tensor,
        x: Tensor,
        y: Tensor,
        threat: Threat,
        rng: torch.Generator,
    ) -> None:
        """One run of `budget` (N,) queries; all candidates are offered to `best`."""
        import torch

        points, value = windows.start(x, threat, rng), x.new_full((len(x),), -torch.inf)
        for step in range(int(budget.max())):
            at = best.unbroken if self.stop_when_broken else best.everywhere
            at = at[step < budget[at]]
            if len(at) == 0:
                return
            # Numbers are drawn for all images, so that an image that is no longer attacked changes no other.
            numbers = windows.draw(x, rng).at(at)
            tried = points[at]
            if step > 0:
                tried = windows.candidates(x[at], tried, numbers, self._share(step / budget[at]), threat)
            log_probs, tried_value = victim.among(at).score(tried, y[at], self.objective)
            best.offer(tried, threat.broken(log_probs, y[at]), tried_value, at)
            # Ties are accepted: a model of trees is constant almost everywhere.
            better = tried_value >= value[at]
            points[at[better]], value[at[better]] = tried[better], tried_value[better]

    def _search_fresh(
        self,
        victim: Victim,
        best: Best,
        windows: Windows,
        budget: Tensor,
        x: Tensor,
        y: Tensor,
        threat: Threat,
        rng: torch.Generator,
    ) -> None:
        """One run of at most `budget` (N,) queries that compares points by the same draws; `best` gets the last one."""
        import torch

        points, steps = windows.start(x, threat, rng), (budget - 1) // 2
        asked = best.unbroken if self.stop_when_broken else best.everywhere
        for step in range(int(steps.max())):
            numbers = windows.draw(x, rng)
            at = asked[step < steps[asked]]
            if len(at) == 0:
                break
            share = self._share(step / steps[at])
            tried = windows.candidates(x[at], points[at], numbers.at(at), share, threat)
            both = torch.cat([at, at])
            values = victim.among(both).value(torch.cat([points[at], tried]), y[both], self.objective)
            better = values[len(at) :] >= values[: len(at)]
            points[at[better]] = tried[better]
        at = asked[budget[asked] > 0]
        if len(at) > 0:
            log_probs, value = victim.among(at).score(points[at], y[at], self.objective)
            best.offer(points[at], threat.broken(log_probs, y[at]), value, at)

    def _share(self, done: Tensor) -> Tensor:
        """The share of the coordinates in a window, (n,), after a share (n,) of a run."""
        import torch

        marks = torch.tensor(HALVINGS, device=done.device)
        return self.first_share * 0.5 ** torch.searchsorted(marks, done.to(marks))

    @property
    def stops_early(self) -> bool:
        return self.stop_when_broken

    def stronger(self) -> SquareAttack:
        return self.model_copy(update={"queries": 2 * self.queries})
