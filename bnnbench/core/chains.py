"""The base classes of posteriors whose draws come in independent parts, such as chains or the members of ensembles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from bnnbench.core.draws import Draws, Progress, no_progress
from bnnbench.core.posterior import Posterior

if TYPE_CHECKING:
    from torch import nn

    from bnnbench.core.dataset import Data


class InParts(Posterior):
    """A posterior whose draws come in independent parts. An author writes `parts` and `fit_part` instead of `fit`.

    `bnnbench.fit` fits the parts one after another. In a run of a benchmarks file, each part is a task of its own:
    parts run in parallel, and an interrupted run keeps the finished ones. The draws are the same either way.
    """

    part_noun: ClassVar[str] = "part"
    """What messages call a part, such as `chain` or `member`."""
    keeps_state: ClassVar[bool] = False
    """Whether `fit_part` takes an argument `memory`, in which a run keeps the state of the part (`PartMemory`).

    The part then goes on from its last state after it was ended. Its random numbers must not depend on when that was.
    """
    lengthening: ClassVar[frozenset[str]] = frozenset()
    """The parameters that do not change how a part begins, such as the number of draws.

    A part that keeps its state goes on from the last state of a shorter one that differs in these alone.
    """

    @property
    def parts(self) -> int:
        """The number of parts. Each has `draws / parts` draws."""
        raise NotImplementedError

    def beginning(self, part: int) -> dict[str, Any]:
        """What decides how a part begins, as JSON values by name: the parameters that are not `lengthening`.

        Override it if one of these, such as the number of parts, decides how some part begins.
        """
        parameters = self.identity()["parameters"]
        return {name: value for name, value in parameters.items() if name not in self.lengthening}

    def fit_part(
        self, network: nn.Module, data: Data, *, seed: int, part: int, progress: Progress = no_progress
    ) -> Draws:
        """The draws of one part.

        `part` is the number of the part, from 0. `seed` is the seed of the fit, the same for all parts. The other
        arguments and rules are those of `Posterior.fit`. A class that `keeps_state` takes a `memory` too.
        """
        raise NotImplementedError

    def together(self, parts: Sequence[Draws]) -> Draws:
        """The draws of the fit, from those of all parts in their order.

        Raises `ValueError` if they do not fit together.
        """
        return joined(parts)

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """The draws of all parts, which are fitted one after another."""

        def progress_of(part: int) -> Progress:
            return lambda done, total, note="": progress(part * total + done, self.parts * total, note)

        return self.together(
            [
                self.fit_part(network, data, seed=seed, part=part, progress=progress_of(part))
                for part in range(self.parts)
            ]
        )


class IndependentChains(InParts):
    """A posterior that samples several independent chains. An author writes `fit_chain` instead of `fit`.

    Each chain is a part (`InParts`): in a run of a benchmarks file it is a task of its own.
    """

    part_noun: ClassVar[str] = "chain"

    chains: int = Field(default=1, ge=1, le=1000)
    """Number of chains, each with initial weights of its own. Each keeps the same number of draws."""

    @model_validator(mode="after")
    def _chains_share_the_draws(self) -> Self:
        if self.draws % self.chains:
            raise ValueError(f"draws ({self.draws}) must be a multiple of chains ({self.chains})")
        return self

    @property
    def parts(self) -> int:
        """The number of chains."""
        return self.chains

    @property
    def per_chain(self) -> int:
        """The number of draws that each chain keeps."""
        return self.draws // self.chains

    def fit_chain(
        self, network: nn.Module, data: Data, *, seed: int, chain: int, progress: Progress = no_progress
    ) -> Draws:
        """The draws of one chain: arrays (1, draws / chains, *weight).

        `chain` is the number of the chain, from 0. `seed` is the seed of the fit, the same for all chains: derive the
        random numbers of a chain from both (`authoring.chain_seeds`). The `shared` arrays must be the same for all
        chains. The other arguments and rules are those of `Posterior.fit`.
        """
        raise NotImplementedError

    def fit_part(
        self, network: nn.Module, data: Data, *, seed: int, part: int, progress: Progress = no_progress, **more: Any
    ) -> Draws:
        """The draws of the chain with this number: `fit_chain`, which a class that `keeps_state` gives a `memory`."""
        return self.fit_chain(network, data, seed=seed, chain=part, progress=progress, **more)


def joined(chains: Sequence[Draws]) -> Draws:
    """One `Draws` with the draws of several chains: arrays are concatenated along their first axis (chains).

    Diagnostics that are arrays or lists are concatenated along their first axis, numbers are added, and texts are
    joined, each different one once. A chain may lack a text. Raises `ValueError` if the chains differ in names, shapes
    or shared arrays, or in the names of their other diagnostics.
    """
    first = chains[0]
    texts = {name for chain in chains for name, value in chain.diagnostics.items() if isinstance(value, str)}
    for other in chains[1:]:
        for part in ("arrays", "shared", "diagnostics"):
            if getattr(other, part).keys() - texts != getattr(first, part).keys() - texts:
                raise ValueError(f"the chains do not have the same {part}")
        if not all(np.array_equal(array, other.shared[name]) for name, array in first.shared.items()):
            raise ValueError("the chains do not have the same shared arrays")
    return Draws(
        {name: np.concatenate([chain.arrays[name] for chain in chains]) for name in first.arrays},
        shared=first.shared,
        diagnostics={
            name: _combined([chain.diagnostics[name] for chain in chains if name in chain.diagnostics])
            for name in dict.fromkeys(name for chain in chains for name in chain.diagnostics)
        },
    )


def _combined(values: list[Any]) -> Any:
    """One diagnostic of all chains, from its value in each."""
    if all(isinstance(value, str) for value in values):
        return "; ".join(dict.fromkeys(values))
    arrays = [_as_array(value) for value in values]
    return np.concatenate(arrays) if arrays[0].ndim else sum(array.item() for array in arrays)


def _as_array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    # Numbers that are not finite are null in a file of draws, and None when it is read.
    return np.asarray(value, float) if array.dtype == object else array
