"""Independent streams of random numbers from one seed, one for each purpose.

All purposes are named here. Adding a purpose changes no other stream. A stream is identified by its purpose's spawn key
and by the kind of its generator: `numpy_generator` seeds a PCG64 with the whole state of the seed sequence, and
`torch_generator` a Mersenne twister with one derived word. Two purposes never share both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from bnnbench.core import arguments
from bnnbench.plugins.described import described

if TYPE_CHECKING:
    import torch

LARGEST = 2**32 - 1
"""The largest seed."""


class Purpose(NamedTuple):
    """The purpose of a stream: its spawn key (numpy's `SeedSequence`), and the kind of its generator."""

    key: int
    generator: Literal["numpy", "torch", "word"]


ATTACK = Purpose(1, "torch")
"""The random numbers of an attack."""
QUERIES = Purpose(2, "torch")
"""The draws that answer each query under the stream `fresh`."""
EVALUATION = Purpose(3, "torch")
"""The draws that judge each image under the stream `fresh`."""
TEST_IMAGES = Purpose(5, "numpy")
"""The one order of a test set."""
CARD = Purpose(6, "word")
"""The coordinates that the posterior card follows."""
SURROGATE = Purpose(7, "word")
"""The seed of the fits that an attacker makes itself."""
MEASURE = Purpose(8, "torch")
"""The random numbers of a measure."""
TRAINING_SAMPLE = Purpose(1, "numpy")
"""The training points of a data set."""
TEST_SAMPLE = Purpose(2, "numpy")
"""The test points of a data set."""
TEST_SPLIT = Purpose(3, "numpy")
"""The split of data that come without one."""
MINIBATCHES = Purpose(1000, "word")
"""Two words: the order of minibatches, and all other noise of a training."""
LAYERS = Purpose(1001, "word")
"""The random numbers that the layers of a network draw while it is trained, such as those of dropout."""
CHAINS = Purpose(2000, "word")
"""Two words for each chain: its start, and the sampler's own random numbers."""
TRANSITIONS = Purpose(2001, "word")
"""Two words for each transition of a chain, two for the trials before it, and one for its length."""
STARTS = Purpose(2002, "word")
"""The noise of a chain's start, beside its initial weights: one word for each chain."""
MEMBERS = Purpose(3000, "word")
"""Two words for each member of an ensemble: the seed of its fit, and that of its own random numbers."""

PURPOSES = {name: value for name, value in list(globals().items()) if isinstance(value, Purpose)}
"""All purposes by name."""


def check_seed(seed: int) -> int:
    """The seed as a Python int; integers of numpy, torch and JAX are taken.

    Raises `ValueError` unless it is a uint32: JAX and Pyro alias or refuse others.
    """
    try:
        return arguments.integer(seed, argument="seed", least=0, greatest=LARGEST)
    except (TypeError, ValueError):
        raise ValueError(f"seed {described(seed)} is not an integer from 0 to {LARGEST}") from None


def words(seed: int, purpose: Purpose, *further: int, count: int = 1) -> list[int]:
    """`count` numbers (uint32) for one purpose; `further` numbers tell apart several streams of it."""
    sequence = np.random.SeedSequence(check_seed(seed), spawn_key=(purpose.key, *further))
    return [int(word) for word in sequence.generate_state(count)]


def torch_generator(seed: int, purpose: Purpose) -> torch.Generator:
    """A torch generator for one purpose, on the CPU so that every device sees the same numbers."""
    import torch

    return torch.Generator().manual_seed(words(seed, purpose)[0])


def numpy_generator(seed: int, purpose: Purpose) -> np.random.Generator:
    """A numpy generator for one purpose."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(check_seed(seed), spawn_key=(purpose.key,))))


def test_order(size: int) -> np.ndarray:
    """The one fixed order (size,) of a test set, the same for all seeds."""
    return numpy_generator(0, TEST_IMAGES).permutation(size)
