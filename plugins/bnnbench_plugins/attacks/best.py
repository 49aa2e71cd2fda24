"""Keep the best inputs that an attack has come across."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Best:
    """For each image the best candidate so far: misclassified first, then the highest objective.

    `inputs` (N, *shape) are the best, `latest_value` and `latest_broken` (N,) what was last found of each image.
    """

    def __init__(self, x: Tensor) -> None:
        import torch

        self.inputs = x.clone()
        self.latest_value = x.new_full((len(x),), -torch.inf)
        self.latest_broken = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self._value, self._broken = self.latest_value.clone(), self.latest_broken.clone()
        self.everywhere = torch.arange(len(x), device=x.device)

    @property
    def unbroken(self) -> Tensor:
        """Positions of the images for which no misclassified candidate has been offered."""
        return self.everywhere[~self._broken]

    def offer(self, candidates: Tensor, broken: Tensor, value: Tensor, at: Tensor | None = None) -> None:
        """Candidates (n, *shape) for the images at these positions (n,), all by default; where they reach the
        attacker's goal (n,); and their objective (n,)."""
        at = self.everywhere if at is None else at
        self.pass_by(broken, value, at)
        known, worth = self._broken[at], self._value[at]
        better = (broken & ~known) | ((broken == known) & (value > worth))
        chosen = at[better]
        self.inputs[chosen] = candidates[better]
        self._broken[chosen], self._value[chosen] = broken[better], value[better]

    def pass_by(self, broken: Tensor, value: Tensor, at: Tensor) -> None:
        """What was found of candidates that are not to be kept."""
        self.latest_value[at], self.latest_broken[at] = value, broken
