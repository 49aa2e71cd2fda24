"""Random numbers for data sets, fits and measures, from the seed of the benchmark, without any global random state.

Every function gives a stream of its own: no two of them share numbers, and none shares numbers with the core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bnnbench.core import seeds

if TYPE_CHECKING:
    import torch


def training_generator(seed: int) -> np.random.Generator:
    """A numpy generator for the training points of a data set. Every seed gives another sample.

    Raises `ValueError` unless the seed is an integer from 0 to 2**32 - 1, as all functions of this module do.
    """
    return seeds.numpy_generator(seed, seeds.TRAINING_SAMPLE)


def test_generator() -> np.random.Generator:
    """A numpy generator for the test points of a data set, the same for every seed."""
    return seeds.numpy_generator(0, seeds.TEST_SAMPLE)


# pytest would take the name for that of a test in every module that imports the function.
test_generator.__test__ = False  # type: ignore[attr-defined]


def training_seeds(seed: int) -> tuple[int, int]:
    """Two seeds (uint32) for a training: one for the order of minibatches, one for all other random numbers."""
    order, noise = seeds.words(seed, seeds.MINIBATCHES, count=2)
    return order, noise


def layers_seed(seed: int) -> int:
    """A seed (uint32) for the random numbers that layers draw in train mode, such as those of dropout."""
    return seeds.words(seed, seeds.LAYERS)[0]


def chain_seeds(seed: int, chain: int) -> tuple[int, int]:
    """Two seeds (uint32) for a chain: one for its initial weights, one for the sampler.

    `seed` is the seed of the fit, `chain` the number of the chain, from 0.
    """
    start, sampling = seeds.words(seed, seeds.CHAINS, chain, count=2)
    return start, sampling


def transition_seeds(seed: int, chain: int, transition: int, *, trial: bool = False) -> tuple[int, int]:
    """Two seeds (uint32) for a transition of a chain, or for the trials of step sizes before it.

    They depend on nothing that came before, so that a chain can go on from any transition.
    """
    first, second = seeds.words(seed, seeds.TRANSITIONS, chain, transition, int(trial), count=2)
    return first, second


def transition_fraction(seed: int, chain: int, transition: int) -> float:
    """A number in [0, 1) for a transition of a chain, beside its seeds: for the length of its trajectory."""
    return seeds.words(seed, seeds.TRANSITIONS, chain, transition, 2)[0] / (seeds.LARGEST + 1)


def start_seed(seed: int, chain: int) -> int:
    """A seed (uint32) for what is random in a chain's start beside its initial weights."""
    return seeds.words(seed, seeds.STARTS, chain)[0]


def member_seeds(seed: int, member: int) -> tuple[int, int]:
    """Two seeds (uint32) for a member of an ensemble: that of its fit, and one for random numbers of its own.

    `seed` is the seed of the ensemble's fit, `member` the number of the member, from 0.
    """
    fit, own = seeds.words(seed, seeds.MEMBERS, member, count=2)
    return fit, own


def measure_generator(seed: int) -> torch.Generator:
    """A torch generator on the CPU for the random numbers of a measure; `seed` is that of its `Defence`."""
    return seeds.torch_generator(seed, seeds.MEASURE)
