"""Queries that are attributed to images and threats, and compared with the budget of the threat."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Self

from bnnbench.core import seeds
from bnnbench.core.access import check_gradients, check_queries
from bnnbench.core.ledger import Ledger, most_queries
from bnnbench.core.threat import Threat

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Attributed:
    """The account of what is asked about N images under a threat, or under several that differ in the radius.

    Args:
        threat: the threat.
        images: the number N of images.
        seed: determines the draws of each query under the stream `fresh`.
    """

    def __init__(self, threat: Threat, images: int, seed: int) -> None:
        import torch

        self._threat, self._seed, self._allowed = threat, seed, threat.queries
        self._positions = torch.arange(images, device="cpu")
        self._rng: torch.Generator = seeds.torch_generator(seed, seeds.QUERIES)
        self.ledger = Ledger(images)
        self._shared: Ledger | None = None
        self._of_threats: dict[Threat, Self] = {}
        self._one_threat = False

    @property
    def images(self) -> int:
        """The number N of images that this victim belongs to."""
        return len(self._positions)

    def under(self, threat: Threat) -> Self:
        """A victim for the same images, with queries that are counted for one threat alone.

        The threat may differ from that of this victim in norm and epsilon only. Raises `ValueError` for any other, so
        that an attack gets no more access than its threat allows.
        """
        import torch

        self._check(threat)
        if self._one_threat or (self._shared is not None and threat == self._threat):
            return self
        if threat not in self._of_threats:
            alone = copy.copy(self)
            alone._threat, alone._shared = threat, self._shared or self.ledger
            alone.ledger = Ledger(len(self.ledger.forward))
            alone._positions = torch.arange(len(self.ledger.forward), device="cpu")
            alone._rng = seeds.torch_generator(self._seed, seeds.QUERIES)
            self._of_threats[threat] = alone
        return self._of_threats[threat]._at(self._positions)

    def among(self, positions: Tensor) -> Self:
        """A victim for the images of this victim at these positions (n,). A position may occur several times."""
        return self._at(self._positions[positions.cpu()])

    def for_one_threat(self, threat: Threat) -> Self:
        """A victim for the same images, for an attack that runs inside of another one under this threat.

        Its `under` returns the victim itself, so that all queries of the inner attack are counted where those of the
        outer attack are. Raises `ValueError` as `under` does.
        """
        self._check(threat)
        view = self._at(self._positions)
        view._one_threat = True
        return view

    def ledgers(self, threat: Threat) -> list[Ledger]:
        """The ledgers that count for one threat: the one of all threats, and the threat's own if it has one."""
        victim = self._of_threats.get(threat)
        return [self.ledger, victim.ledger] if victim else [self.ledger]

    @property
    def queries_left(self) -> Tensor | None:
        """The number of queries (N,) that the threat still allows for each image; None if there is no limit."""
        return None if self._allowed is None else (self._allowed - self._spent())[self._positions]

    def record(self, name: str, values: Tensor) -> None:
        """Append the values (N,) of one step to the diagnostics that are kept with the outcome under this name.

        Images that this victim does not belong to get NaN for the step; one that it belongs to several times, as in
        `among`, gets the largest of its values. Raises `ValueError` for another shape.
        """
        if values.shape != (self.images,):
            raise ValueError(f"a step's '{name}' has shape {tuple(values.shape)}, not ({self.images},)")
        self.ledger.record(name, values.detach().cpu(), self._positions)

    def _check(self, threat: Threat) -> None:
        if not threat.differs_in_radius_alone(self._threat):
            raise ValueError("the threat differs in more than norm and epsilon from the threat of this victim")

    def _at(self, positions: Tensor) -> Self:
        view = copy.copy(self)
        view._positions = positions
        return view

    def _spent(self) -> Tensor:
        """The queries of each image so far (N,): those for all threats, and those for the threat with most of them."""
        if self._shared is not None:
            return self._shared.forward + self.ledger.forward
        return self.ledger.forward + most_queries([victim.ledger for victim in self._of_threats.values()])

    def _count(self, x: Tensor, *, gradient: bool) -> None:
        """Count a query of these inputs. Raises `GradientRefused` or `QueriesSpent` if the threat does not allow it."""
        if gradient:
            check_gradients(self._threat)
        cost = self.ledger.attributed(len(x), self._positions)
        check_queries(self._allowed, self._spent() + cost)
        self.ledger.count(cost, gradient=gradient)

    def _note_zero(self, direction: Tensor) -> None:
        self.ledger.note_zero((direction.flatten(1) == 0).all(1).cpu(), self._positions)
