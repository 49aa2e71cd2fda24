"""Independent streams of randomness from one seed, by purpose: adding one changes no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import torch

ATTACK: Final = 1
QUERIES: Final = 2
EVALUATION: Final = 3
TEST_IMAGES: Final = 5
CARD: Final = 6

LARGEST = 2**32 - 1


def check_seed(seed: int) -> int:
    """The seed, if it is a uint32: JAX and Pyro silently alias or refuse others."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST:
        raise ValueError(f"seed {seed!r} is not an integer from 0 to {LARGEST}")
    return seed


def derive(seed: int, purpose: int) -> int:
    """A uint32 for one purpose."""
    return int(np.random.SeedSequence(check_seed(seed), spawn_key=(purpose,)).generate_state(1)[0])


def generator(seed: int, purpose: int) -> torch.Generator:
    """A torch generator for one purpose, on the CPU so that every device sees the same numbers."""
    import torch

    return torch.Generator().manual_seed(derive(seed, purpose))


def test_order(size: int) -> np.ndarray:
    """The one fixed shuffle of a test set, the same for all seeds."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(0, spawn_key=(TEST_IMAGES,)))).permutation(size)
