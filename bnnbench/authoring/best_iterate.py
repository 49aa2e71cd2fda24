"""Keep the best candidate of each image during an attack.

An attack that tries several candidates, for example:

    best = Best(x)
    for candidate in candidates:                              # (N, *shape)
        log_probs, value = victim.score(candidate, y, self.objective)
        best.offer(candidate, threat.broken(log_probs, y), value)
    return best.inputs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Best:
    """The best candidate so far for each of N images.

    A candidate that reaches the attacker's goal is better than one that does not. Among equals, the one with the higher
    objective is better. Before any candidate is offered, the best inputs are the clean ones.

    Args:
        x: the clean inputs (N, *shape).

    Attributes:
        inputs: the best inputs (N, *shape).
        latest_value: the objective (N,) of each image's latest candidate; minus infinity before the first.
        latest_broken: whether each image's latest candidate reaches the goal, (N,) bool.
        everywhere: the positions of all images, 0 to N - 1.
    """

    def __init__(self, x: Tensor) -> None:
        import torch

        self.inputs = x.clone()
        self.latest_value = x.new_full((len(x),), -torch.inf)
        self.latest_broken = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self._best_value, self._best_broken = self.latest_value.clone(), self.latest_broken.clone()
        self.everywhere = torch.arange(len(x), device=x.device)

    @property
    def value(self) -> Tensor:
        """The objective (N,) of each image's best inputs; minus infinity before any candidate."""
        return self._best_value

    @property
    def broken(self) -> Tensor:
        """Whether a candidate of each image has reached the goal, (N,) bool."""
        return self._best_broken

    @property
    def unbroken(self) -> Tensor:
        """The positions of the images for which no candidate has reached the goal."""
        return self.everywhere[~self._best_broken]

    def offer(self, candidates: Tensor, broken: Tensor, value: Tensor, at: Tensor | None = None) -> None:
        """Keep each candidate that is better than the best one of its image.

        Args:
            candidates: inputs (n, *shape).
            broken: whether each candidate reaches the goal, (n,) bool.
            value: the objective of each candidate, (n,).
            at: the positions (n,) of their images. By default all images in order; then n is N. If a position occurs
                several times, the best of its candidates is offered, and is the latest one.
        """
        if at is None:
            at = self.everywhere
        elif (chosen := best_of_each(at, broken, value)) is not None:
            candidates, broken, value, at = candidates[chosen], broken[chosen], value[chosen], at[chosen]
        self._note(broken, value, at)
        best_broken, best_value = self._best_broken[at], self._best_value[at]
        better = (broken & ~best_broken) | ((broken == best_broken) & (value > best_value))
        replaced = at[better]
        self.inputs[replaced] = candidates[better]
        self._best_broken[replaced], self._best_value[replaced] = broken[better], value[better]

    def pass_by(self, broken: Tensor, value: Tensor, at: Tensor) -> None:
        """Note the latest objective and success of candidates that are not to be kept; arguments as in `offer`."""
        if (chosen := best_of_each(at, broken, value)) is not None:
            broken, value, at = broken[chosen], value[chosen], at[chosen]
        self._note(broken, value, at)

    def _note(self, broken: Tensor, value: Tensor, at: Tensor) -> None:
        self.latest_value[at], self.latest_broken[at] = value, broken


def best_of_each(at: Tensor, broken: Tensor, value: Tensor) -> Tensor | None:
    """The places of the best candidate of each image among n candidates, by image; None if each image has one.

    Args:
        at: the positions (n,) of their images; each may occur several times.
        broken: whether each candidate reaches the goal, (n,) bool.
        value: the value of each candidate, (n,); larger is better among candidates that both reach the goal or both do
            not. Of equal ones the first is best.
    """
    import torch

    if len(at) < 2 or len(at.unique()) == len(at):
        return None
    # Sorted by image, then from the best to the worst: the sorts are stable, and the last one counts most.
    order = value.argsort(descending=True, stable=True)
    order = order[broken[order].long().argsort(descending=True, stable=True)]
    order = order[at[order].argsort(stable=True)]
    first = torch.ones_like(broken)
    first[1:] = at[order[1:]] != at[order[:-1]]
    return order[first]
