"""The record of an attack for each image: queries, zero directions and the values of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Ledger:
    """The record of an attack on N images.

    Attributes:
        forward: the queries of the whole ensemble for each image, with or without gradient, (N,).
        gradient: the queries with gradient for each image, (N,).
        zero_direction: whether a direction that the attack asked for was exactly zero, (N,) bool.
        steps: recorded diagnostics, name -> one tensor (N,) for each step.
    """

    def __init__(self, images: int) -> None:
        import torch

        self.forward, self.gradient = torch.zeros(images, device="cpu"), torch.zeros(images, device="cpu")
        self.zero_direction = torch.zeros(images, dtype=torch.bool, device="cpu")
        self.steps: dict[str, list[Tensor]] = {}
        self._followed = self._unattributed = False

    def attributed(self, inputs: int, positions: Tensor) -> Tensor:
        """The cost (N,) for each image of one query of the images at these positions (n,).

        If the query has n inputs, the cost of an image is the number of times that its position occurs. Another number
        of inputs cannot be attributed to images; the cost is then spread evenly over the n positions.
        """
        counts = positions.bincount(minlength=len(self.forward)).to(self.forward)
        return counts if inputs == len(positions) else counts * (inputs / max(1, len(positions)))

    def count(self, cost: Tensor, *, gradient: bool) -> None:
        """Add the cost (N,) of one query, with or without gradient."""
        self.forward = self.forward + cost
        if gradient:
            self.gradient = self.gradient + cost

    def note_zero(self, zero: Tensor, positions: Tensor) -> None:
        """Record whether a direction was exactly zero, (n,) bool, for the images at these positions (n,)."""
        if len(zero) != len(positions):
            self._unattributed = True
            return
        self._followed = True
        self.zero_direction[positions[zero]] = True

    def record(self, name: str, values: Tensor, positions: Tensor) -> None:
        """Append a step's values (n,) for the images at these positions (n,). All other images get NaN.

        The largest of the values counts for a position that occurs several times.
        """
        import torch

        images = len(self.forward)
        if len(positions) == images and torch.equal(positions, torch.arange(images, device="cpu")):
            step = values.clone()
        else:
            dtype = values.dtype if values.is_floating_point() else torch.float32
            step = torch.full((images,), torch.nan, dtype=dtype, device="cpu")
            step.scatter_reduce_(0, positions, values.to(dtype), "amax", include_self=False)
        self.steps.setdefault(name, []).append(step)

    @property
    def followed(self) -> bool:
        """Whether the attack asked for directions, all of which could be attributed to images."""
        return self._followed and not self._unattributed


def most_queries(ledgers: Sequence[Ledger]) -> Tensor | int:
    """The largest number of queries of each image (N,) in one of several ledgers; 0 if there are none."""
    import torch

    return torch.stack([ledger.forward for ledger in ledgers]).amax(0) if ledgers else 0


def steps_of(ledgers: Sequence[Ledger]) -> dict[str, Tensor]:
    """The recorded steps of several ledgers: name -> tensor (steps, N).

    Values of different types under one name become float32.
    """
    import torch

    recorded: dict[str, list[Tensor]] = {}
    for ledger in ledgers:
        for name, steps in ledger.steps.items():
            recorded[name] = [*recorded.get(name, []), *steps]
    return {
        name: torch.stack(steps if len({step.dtype for step in steps}) == 1 else [step.float() for step in steps])
        for name, steps in recorded.items()
    }
