"""The base of ensembles: members that are fits of one posterior, each with a seed of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from bnnbench import Data, Draws, InParts, PosteriorParameter, Predictive, Progress, no_progress
from bnnbench.authoring import joined, member_seeds

if TYPE_CHECKING:
    from torch import nn

_SGD: Any = "bnnbench:sgd"


class Members(InParts):
    """The base of posteriors that consist of members, each fitted by itself. All draws have equal weight."""

    part_noun: ClassVar[str] = "member"

    draws: int = Field(default=10, ge=1, le=1_000_000)
    """Number of draws of all members together. It follows from `members`."""
    members: int = Field(default=10, ge=1, le=1000)
    """Number of members. Each has initial weights and random numbers of its own."""

    @model_validator(mode="after")
    def _members_make_the_draws(self) -> Self:
        draws = self.members * self.draws_of_each
        if "draws" in self.model_fields_set and self.draws != draws:
            each = f" x draws of each ({self.draws_of_each})" if self.draws_of_each > 1 else ""
            raise ValueError(f"draws ({self.draws}) must be members ({self.members}){each}: leave draws out")
        object.__setattr__(self, "draws", draws)
        return self

    @property
    def parts(self) -> int:
        """The number of members."""
        return self.members

    @property
    def draws_of_each(self) -> int:
        """The number of draws of a member."""
        return 1

    @property
    def members_draw_independently(self) -> bool:
        """Whether the draws of one member are independent."""
        return self.draws_of_each == 1

    def together(self, parts: Sequence[Draws]) -> Draws:
        """The draws of all members: arrays (members, draws / members, *weight).

        Arrays that a member's draws share, such as statistics of batch norm, become arrays of each draw where members
        differ in them.
        """
        draws = joined(_with_own_shared(parts))
        if self.members_draw_independently:
            draws.diagnostics["independent"] = f"{self.members} members, each fitted by itself"
        return draws


class Ensemble(Members):
    """The base of ensembles of fits of one posterior."""

    of: PosteriorParameter = Field(default=_SGD)
    """The posterior of each member: a point estimate such as `sgd`, or any other. A member keeps all of its draws."""

    @property
    def draws_of_each(self) -> int:
        """The number of draws of the posterior of a member."""
        return self.of.draws

    @property
    def draws_at_most(self) -> bool:  # type: ignore[override]
        """Whether the fit of a member may return fewer draws."""
        return self.of.draws_at_most

    @property
    def members_draw_independently(self) -> bool:
        """Whether a member has one draw, or independent ones by construction."""
        return self.of.draws == 1 or self.of.independent_draws

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise what the check of a member raises."""
        self.of.check(network, data)

    def data_of(self, data: Data, seed: int) -> Data:
        """The data of a member; `seed` (uint32) is its own. By default all members have the same."""
        return data

    def fit_part(
        self, network: nn.Module, data: Data, *, seed: int, part: int, progress: Progress = no_progress
    ) -> Draws:
        """The draws of one member: arrays (1, draws / members, *weight), with the diagnostics of its fit.

        Numbers among the diagnostics are lists of one, so that members keep their own, but for `seconds`. Several
        chains of a member are one after another. Raises what the fit of `of` raises.
        """
        fit_seed, own_seed = member_seeds(seed, part)
        draws = self.of.fit(network, self.data_of(data, own_seed), seed=fit_seed, progress=progress)
        arrays = {name: array[None] for name, array in draws.flat().items()}
        return Draws(arrays, shared=draws.shared, diagnostics=_of_one_member(draws.diagnostics))

    def predictive(self, network: nn.Module, draws: Draws) -> Predictive:
        """The predictive that `of` makes of the draws."""
        return self.of.predictive(network, draws)


def _of_one_member(diagnostics: Mapping[str, Any]) -> dict[str, Any]:
    """Diagnostics of a fit as those of one of several members: a number becomes a list, which is not added to others.

    Times are added.
    """
    return {
        name: [value] if np.ndim(value) == 0 and not isinstance(value, str) and name != "seconds" else value
        for name, value in diagnostics.items()
    }


def _with_own_shared(parts: Sequence[Draws]) -> list[Draws]:
    """The parts, with those shared arrays in which they differ as arrays of each draw."""
    first = parts[0].shared
    own = {
        name
        for name, array in first.items()
        if not all(name in part.shared and np.array_equal(part.shared[name], array) for part in parts)
    }
    return [
        Draws(
            part.arrays | {name: _repeated(part.shared[name], part.per_chain) for name in own if name in part.shared},
            shared={name: array for name, array in part.shared.items() if name not in own},
            diagnostics=part.diagnostics,
        )
        for part in parts
    ]


def _repeated(array: np.ndarray, draws: int) -> np.ndarray:
    """An array of shape (1, draws, *array)."""
    return np.repeat(array[None, None], draws, axis=1)
