"""Streams of random numbers: one for each purpose, and none that another purpose has."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bnnbench
from bnnbench.core import seeds


def first_numbers(name: str, seed: int) -> bytes:
    purpose = seeds.PURPOSES[name]
    if purpose.generator == "numpy":
        return seeds.numpy_generator(seed, purpose).bytes(64)
    if purpose.generator == "torch":
        return seeds.torch_generator(seed, purpose).get_state().numpy().tobytes()
    return bytes(np.array(seeds.words(seed, purpose, count=16), dtype=np.uint32))


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_no_two_purposes_have_the_same_numbers(seed: int) -> None:
    found = {name: first_numbers(name, seed) for name in seeds.PURPOSES}
    for one, other in itertools.combinations(found, 2):
        assert found[one] != found[other], (one, other)
        assert seeds.PURPOSES[one] != seeds.PURPOSES[other]


def test_the_numbers_of_a_purpose_are_those_that_stores_were_made_with() -> None:
    """Changing one would change outcomes under keys that stay the same."""
    assert seeds.words(0, seeds.ATTACK) == [int(np.random.SeedSequence(0, spawn_key=(1,)).generate_state(1)[0])]
    expected = np.random.default_rng(np.random.SeedSequence(7, spawn_key=(1,))).permutation(50)
    assert np.array_equal(seeds.numpy_generator(7, seeds.TRAINING_SAMPLE).permutation(50), expected)
    expected = np.random.SeedSequence(3, spawn_key=(2000, 4)).generate_state(2)
    assert seeds.words(3, seeds.CHAINS, 4, count=2) == expected.tolist()


def test_every_stream_is_made_in_one_place() -> None:
    """No other file of the core, or of the bundled components, derives streams of its own."""
    packages = [Path(bnnbench.__file__).parent, *map(Path, __import__("bnnbench_plugins").__path__)]
    for file in itertools.chain(*(package.rglob("*.py") for package in packages)):
        names = {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
        assert "SeedSequence" not in names or file.name == "seeds.py", file


@pytest.mark.parametrize("seed", [3, np.int64(3), np.uint32(3), np.array(3), torch.tensor(3)])
def test_integers_of_numpy_and_torch_are_seeds(seed: Any) -> None:
    assert type(seeds.check_seed(seed)) is int
    assert seeds.words(seed, seeds.ATTACK) == seeds.words(3, seeds.ATTACK)


@pytest.mark.parametrize("seed", [-1, 2**32, True, 1.0, "0", None, np.bool_(True), np.float64(1), np.array([1])])
def test_a_seed_is_a_uint32(seed: object) -> None:
    with pytest.raises(ValueError, match="is not an integer from 0"):
        seeds.check_seed(seed)  # type: ignore[arg-type]
