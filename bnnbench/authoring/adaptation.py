"""Adaptation during a warm-up: the step size and a diagonal mass matrix, outside of any engine.

The step size follows the dual averaging of Hoffman and Gelman (2014, section 3.2), with acceptance probability a_t at
transition t of a stage, target d, and the centre m = log(reasonable step size):

    H_t = (1 - 1 / (t + t0)) H_(t-1) + (d - a_t) / (t + t0)
    log e_t = m - sqrt(t) / g H_t
    log E_t = t^-k log e_t + (1 - t^-k) log E_(t-1)

The next transition has the step size e_t, those after the stage have E_t. In the paper the centre is log(10 e_1), so
that long steps are tried first: a short warm-up ends among them. Here the centre is the reasonable step size itself
(algorithm 4 of the paper), and a transition changes the step size by a bounded factor.

The mass matrix follows Stan: the variances of windows of doubling lengths, between an initial and a final stage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

SHORTEST = 10
"""The number of warm-up transitions below which nothing is adapted."""
SHORTEST_OF_MASS = 20
"""The number of warm-up transitions below which the mass matrix is not adapted."""
INITIAL, WINDOW, FINAL = 75, 25, 50
"""Stan's lengths of the initial stage, the first window and the final stage, from 150 warm-up transitions on."""
CONTROL, DELAY, DECAY = 0.1, 10.0, 0.75
"""The constants g, t0 and k of dual averaging. The paper and Stan have g = 0.05.

There, the step size of a short warm-up varies by a factor of two from one transition to the next, and its average is
accepted far more often than the target says: 0.95 for 0.8 after fifty transitions, with steps shorter by a third.
"""
GROWTH, SHRINKAGE = math.log(2.0), math.log(10.0)
"""The largest increase and the largest decrease of the log step size after one transition."""
ACCEPTED = 0.8
"""The acceptance probability of one leapfrog step that a reasonable step size crosses, as in Stan."""
DOUBLINGS = 60
"""The largest number of times that the search for a reasonable step size doubles or halves it."""

Trial = Callable[[float], float]
"""The acceptance probability of one leapfrog step of a given size, from where the chain is."""


def stages(warmup: int, mass_matrix: bool = True) -> list[int]:
    """The last transition of each stage of a warm-up, counted from 0; empty if it is too short to adapt.

    With a mass matrix they are the initial stage, windows of doubling lengths, and the final stage; a window that
    leaves too little for the next one takes it too. Short warm-ups are divided by quarters. Without a mass matrix they
    are the initial stage and the rest.
    """
    if warmup < SHORTEST:
        return []
    initial, window, final = INITIAL, WINDOW, FINAL
    if warmup < INITIAL + WINDOW + FINAL:
        initial, final = warmup // 4, warmup // 4
        window = warmup - initial - final
    if not mass_matrix or warmup < SHORTEST_OF_MASS:
        return [initial - 1, warmup - 1]
    ends = [initial]
    while ends[-1] + window < warmup - final:
        left = warmup - final - ends[-1]
        ends.append(ends[-1] + (window if 3 * window <= left else left))
        window *= 2
    if ends[-1] < warmup - final:
        ends.append(warmup - final)
    return [end - 1 for end in [*ends, warmup]]


def reasonable_step_size(trial: Trial, first: float) -> float:
    """A step size near `first` at which the acceptance probability of one leapfrog step crosses 0.8.

    `first` is doubled or halved until it does (Hoffman and Gelman 2014, algorithm 4); of the last two the shorter is
    taken. Every trial must have the same momentum.
    """
    step_size = first
    grows = trial(step_size) > ACCEPTED
    for _ in range(DOUBLINGS):
        following = step_size * (2.0 if grows else 0.5)
        if (trial(following) > ACCEPTED) != grows:
            return step_size if grows else following
        step_size = following
    return step_size


class DualAveraging:
    """A step size that approaches a target acceptance probability (the module gives the equations).

    Attributes:
        log_step: log of the step size of the next transition.
        average: log of the averaged step size.
    """

    def __init__(self, step_size: float, target: float) -> None:
        self._target = target
        self.restart(step_size)

    def restart(self, step_size: float) -> None:
        """Begin a stage, centred at this step size."""
        self._centre = self.log_step = self.average = math.log(step_size)
        self._error, self._count = 0.0, 0

    def update(self, acceptance: float) -> None:
        """Follow the acceptance probability of a transition; one that is not a number counts as 0."""
        self._count += 1
        count, acceptance = self._count, acceptance if acceptance == acceptance else 0.0
        weight = 1 / (count + DELAY)
        self._error = (1 - weight) * self._error + weight * (self._target - acceptance)
        proposed = self._centre - math.sqrt(count) / CONTROL * self._error
        self.log_step = min(max(proposed, self.log_step - SHRINKAGE), self.log_step + GROWTH)
        share = count**-DECAY
        self.average = share * self.log_step + (1 - share) * self.average

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The numbers of this object as one float64 array."""
        return {"averaging": np.array([self._centre, self.log_step, self.average, self._error, self._count])}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state_arrays` gave."""
        self._centre, self.log_step, self.average, self._error, count = map(float, arrays["averaging"])
        self._count = int(count)


class Variances:
    """The variances of vectors that come one by one (Welford 1962), in float64."""

    def __init__(self, size: int) -> None:
        self.count, self._mean, self._squares = 0, np.zeros(size), np.zeros(size)

    def update(self, vector: np.ndarray) -> None:
        """Take in a vector (size,)."""
        self.count += 1
        difference = vector - self._mean
        self._mean = self._mean + difference / self.count
        self._squares = self._squares + difference * (vector - self._mean)

    @property
    def unbiased(self) -> np.ndarray:
        """The variance of each coordinate, with the divisor n - 1; at least two vectors are needed."""
        return self._squares / (self.count - 1)

    @property
    def shrunk(self) -> np.ndarray:
        """The variances, shrunk towards 1e-3 with the weight of five vectors, as in Stan."""
        return (self.count * self.unbiased + 5 * 1e-3) / (self.count + 5)

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The numbers of this object as arrays."""
        return {"count": np.array(self.count), "mean": self._mean, "squares": self._squares}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state_arrays` gave."""
        self.count, self._mean, self._squares = int(arrays["count"]), arrays["mean"], arrays["squares"]


class Adaptation:
    """The step size and the inverse mass matrix of each transition of a chain.

    Args:
        warmup: the number of warm-up transitions.
        size: the number of weights.
        step_size: the first step size, or that of all transitions if it is not adapted.
        target: the mean acceptance probability that is aimed at.
        adapt_step_size, adapt_mass_matrix: what is adapted.

    Attributes:
        step_size: the step size of the next transition.
        inverse_mass: the diagonal (size,) of the inverse mass matrix of the next transition, float32.
    """

    def __init__(
        self, warmup: int, size: int, *, step_size: float, target: float, adapt_step_size: bool, adapt_mass_matrix: bool
    ) -> None:
        self.step_size, self.inverse_mass = step_size, np.ones(size, np.float32)
        self._averaging, self._variances = DualAveraging(step_size, target), Variances(size)
        self._adapts_step, self._adapts_mass = adapt_step_size, adapt_mass_matrix and warmup >= SHORTEST_OF_MASS
        self._ends = stages(warmup, self._adapts_mass)

    @property
    def initial_stage(self) -> int:
        """The number of transitions of the initial stage, in which the chain goes to where the posterior is."""
        return self._ends[0] + 1 if self._ends else 0

    def before(self, transition: int, trial: Trial) -> None:
        """Begin a stage at its first transition: search a reasonable step size, and average anew from there."""
        if self._adapts_step and self._ends and transition in {0, *(end + 1 for end in self._ends[:-1])}:
            self.step_size = reasonable_step_size(trial, self.step_size)
            self._averaging.restart(self.step_size)

    def after(self, transition: int, acceptance: float, weights: Callable[[], np.ndarray]) -> None:
        """Follow a transition; `weights` gives the weights (size,) after it."""
        if not self._ends or transition > self._ends[-1]:
            return
        if self._adapts_step:
            self._averaging.update(acceptance)
            ended = transition in self._ends
            self.step_size = math.exp(self._averaging.average if ended else self._averaging.log_step)
        if self._adapts_mass and self._ends[0] < transition <= self._ends[-2]:
            self._variances.update(weights())
            if transition in self._ends:
                self.inverse_mass = self._variances.shrunk.astype(np.float32)
                self._variances = Variances(len(self.inverse_mass))

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The state as arrays by name: what the parameters do not give."""
        return {
            "step_size": np.array(self.step_size),
            "inverse_mass": self.inverse_mass,
            **self._averaging.state_arrays(),
            **self._variances.state_arrays(),
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over the state that `state_arrays` gave."""
        self.step_size, self.inverse_mass = float(arrays["step_size"]), arrays["inverse_mass"]
        self._averaging.restore(arrays)
        self._variances.restore(arrays)
