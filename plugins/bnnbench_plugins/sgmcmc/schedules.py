"""The steps of a chain: their lengths and temperatures, and the stretches between draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from bnnbench_plugins.sgmcmc.parameters import Steps

LONGEST = 100
"""The largest number of steps of a stretch of a warm-up. All stretches of one length share a compiled program."""


class Stretch(NamedTuple):
    """Steps that are made together.

    Attributes:
        first: the number of its first step.
        rates: the learning rate of each step, float32.
        temperatures: the temperature of each step, float32.
        kept: whether the weights after the last one are a draw.
    """

    first: int
    rates: np.ndarray
    temperatures: np.ndarray
    kept: bool


def steps(sampler: Steps) -> int:
    """The number of steps of a chain."""
    cycles = sampler.cycles if sampler.schedule == "cyclical" else 1
    return cycles * sampler.warmup + sampler.per_chain * sampler.thin


def stretches(sampler: Steps) -> Iterator[Stretch]:
    """The stretches of a chain in their order."""
    cyclical = sampler.schedule == "cyclical"
    cycles = sampler.cycles if cyclical else 1
    length = steps(sampler) // cycles
    first = 0
    for _ in range(cycles):
        left = sampler.warmup
        warm = [min(LONGEST, left - done) for done in range(0, left, LONGEST)]
        kept = [sampler.thin] * (sampler.per_chain // cycles)
        for number, count in enumerate([*warm, *kept]):
            warming = number < len(warm)
            numbers = np.arange(first, first + count)
            temperatures = np.full(count, 0.0 if cyclical and warming else 1.0, np.float32)
            yield Stretch(first, _rates(sampler, numbers, length), temperatures, kept=not warming)
            first += count


def _rates(sampler: Steps, numbers: np.ndarray, length: int) -> np.ndarray:
    """The learning rates of some steps by their numbers, in cycles of this length."""
    relative = {
        "constant": lambda: np.ones(len(numbers)),
        "decreasing": lambda: (1 + numbers / max(1, sampler.warmup)) ** (-1 / 3),
        "cyclical": lambda: 0.5 + 0.5 * np.cos(np.pi * (numbers % length) / length),
    }[sampler.schedule]()
    return (sampler.learning_rate * relative).astype(np.float32)
