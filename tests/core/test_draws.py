"""Draws take arrays of any library, and tell what is no array of draws."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import bnnbench as bb


@pytest.mark.parametrize(
    "array",
    [
        np.ones((1, 2, 3), np.float32),
        np.ones((3, 2, 1), np.float32).T,
        torch.ones(1, 2, 3, requires_grad=True),
        torch.ones(1, 2, 3, dtype=torch.bfloat16),
        jnp.ones((1, 2, 3), jnp.bfloat16),
        [[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]],
    ],
)
def test_arrays_of_any_library_are_draws(array: Any) -> None:
    draws = bb.Draws({"weight": array})
    assert len(draws) == 2
    assert draws.arrays["weight"].flags.c_contiguous
    assert np.array_equal(draws.arrays["weight"], np.ones((1, 2, 3)))


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (([{"weight": np.ones((1, 2))}],), TypeError, "arrays of Draws is a mapping from names to arrays"),
        (({"weight": "text"},), TypeError, "the draws of 'weight' are not real numbers but 'text'"),
        (({"weight": [[1.0], [2.0, 3.0]]},), TypeError, "the draws of 'weight' do not all have one shape"),
        (({"weight": np.ones((1, 2), complex)},), TypeError, "the draws of 'weight' are complex128, not real numbers"),
        (({},), ValueError, "arrays is empty"),
        (({"weight": np.float32(1)},), ValueError, "must all lead with the same"),
        (({"weight": np.ones((0, 2))},), ValueError, "there are no draws"),
    ],
)
def test_what_is_no_draw_is_told(arguments: tuple[Any, ...], error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        bb.Draws(*arguments)
    assert told in str(caught.value)
