"""The loop of a Hamiltonian chain: an engine makes transitions, and everything else is outside of it.

The loop is a state machine. The random numbers of a transition depend only on the seed of the fit, the chain and the
number of the transition, and the state is a flat mapping from names to arrays. So a loop that is restored from the
arrays of an earlier one goes on with the same draws, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bnnbench.authoring.adaptation import Adaptation
from bnnbench.authoring.random_streams import transition_fraction, transition_seeds

if TYPE_CHECKING:
    from bnnbench.authoring.chain_record import Chain

_KEPT = "kept/"
"""The beginning of the names of kept weights in a state."""
Seeds = tuple[int, int]
"""Two seeds (uint32) of a transition. An engine whose generator takes one uint32 uses the first."""


@dataclass(frozen=True)
class Transition:
    """What became of a transition.

    Attributes:
        acceptance: its acceptance probability; the mean over the trajectory for NUTS.
        diverging: whether the energy rose by more than a thousand.
        leapfrog_steps: the number of leapfrog steps that it took.
    """

    acceptance: float
    diverging: bool
    leapfrog_steps: int


class Stateful(Protocol):
    """What can be saved as arrays by name, and restored."""

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The state as arrays by name."""
        ...

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state_arrays` gave."""
        ...


class Engine(Stateful, Protocol):
    """What makes the transitions of one chain. It holds the chain's weights and what it caches of them.

    The inverse mass matrix is a diagonal (size,), in the order of the sorted names of the weights.
    """

    def transition(
        self, seeds: Seeds, *, step_size: float, inverse_mass: np.ndarray, leapfrog_steps: int
    ) -> Transition:
        """Make a transition. An engine that finds the number of leapfrog steps itself ignores `leapfrog_steps`."""
        ...

    def trial(self, seeds: Seeds, *, step_size: float, inverse_mass: np.ndarray) -> float:
        """The acceptance probability of one leapfrog step. The chain stays where it is."""
        ...

    def weights(self) -> dict[str, np.ndarray]:
        """The weights of the chain, name -> array of its own."""
        ...


class ChainLoop:
    """The loop of one chain. `run` makes all transitions; `advance` makes one.

    Args:
        record: the record of the chain, which the loop fills.
        engine: what makes the transitions, at the chain's start.
    """

    def __init__(self, record: Chain, engine: Engine) -> None:
        sampler = record.sampler
        self.record, self.engine, self.transition = record, engine, 0
        self.adaptation = Adaptation(
            sampler.warmup,
            sum(array.size for array in engine.weights().values()),
            step_size=sampler.step_size,
            target=sampler.target_acceptance,
            adapt_step_size=sampler.adapt_step_size,
            adapt_mass_matrix=sampler.adapt_mass_matrix,
        )

    def run(self) -> None:
        """Make the transitions that are left; the memory of the record says from where, and keeps states on the way."""
        memory, kept = self.record.memory, self.record.kept
        if (last := memory.last()) is not None:
            self.restore({**last.arrays, **{f"{_KEPT}{name}": array for name, array in last.draws.items()}})
        while self.transition < self.record.sampler.transitions:
            self.advance()
            memory.keep(self._arrays, kept)
        memory.finish(self._arrays, kept)

    def advance(self) -> None:
        """Make the next transition, follow it with the adaptation, and note it in the record."""
        number, record, adaptation = self.transition, self.record, self.adaptation
        adaptation.before(number, self._trial)
        step_size = adaptation.step_size
        made = self.engine.transition(
            transition_seeds(record.seed, record.number, number),
            step_size=step_size,
            inverse_mass=adaptation.inverse_mass,
            leapfrog_steps=record.sampler.steps_of(
                step_size,
                initial=number < adaptation.initial_stage,
                fraction=transition_fraction(record.seed, record.number, number),
            ),
        )
        adaptation.after(number, made.acceptance, self._flat)
        if record.note(
            number,
            acceptance=made.acceptance,
            diverging=made.diverging,
            leapfrog_steps=made.leapfrog_steps,
            step_size=step_size,
        ):
            record.kept.append(self.engine.weights())
        self.transition += 1

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The whole state as arrays by name, the record and its kept weights included."""
        kept = self.record.kept
        draws = {f"{_KEPT}{name}": np.stack([weights[name] for weights in kept]) for name in (kept or [{}])[0]}
        return self._arrays() | draws

    def _arrays(self) -> dict[str, np.ndarray]:
        """The state without the kept weights."""
        arrays = {"transition": np.array(self.transition)}
        for part, holder in self._parts.items():
            arrays |= {f"{part}/{name}": array for name, array in holder.state_arrays().items()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from the state that `state_arrays` gave, of a loop with the same parameters, but for its length."""
        self.transition = int(arrays["transition"])
        for part, holder in self._parts.items():
            holder.restore(_under(f"{part}/", arrays))
        # Draws of a finished fit may have further arrays, such as statistics of batch norm.
        kept = {name: array for name, array in _under(_KEPT, arrays).items() if name in self.engine.weights()}
        self.record.kept[:] = [dict(zip(kept, rows, strict=True)) for rows in zip(*kept.values(), strict=True)]

    @property
    def _parts(self) -> dict[str, Stateful]:
        """What holds the state, by the first part of the names of its arrays."""
        return {"engine": self.engine, "adaptation": self.adaptation, "record": self.record}

    def _trial(self, step_size: float) -> float:
        """The acceptance probability of one leapfrog step, with the same momentum at each call."""
        record = self.record
        record.gradients += 1
        seeds = transition_seeds(record.seed, record.number, self.transition, trial=True)
        return self.engine.trial(seeds, step_size=step_size, inverse_mass=self.adaptation.inverse_mass)

    def _flat(self) -> np.ndarray:
        return np.concatenate([array.ravel() for _, array in sorted(self.engine.weights().items())])


def _under(lead: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `lead`, by the rest of their names."""
    return {name.removeprefix(lead): array for name, array in arrays.items() if name.startswith(lead)}
