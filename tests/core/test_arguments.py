"""Arguments are returned in plain form, or refused in one line that names what was given and what was meant."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import bnnbench as bb
from bnnbench.core import arguments


@pytest.mark.parametrize("number", [np.float64, np.float32, np.array, torch.tensor, jnp.asarray, np.longdouble])
def test_numbers_of_other_libraries_are_numbers(number: Any) -> None:
    found = arguments.number(number(0.5), argument="epsilon")
    assert found == 0.5
    assert type(found) is float
    assert arguments.number(np.float32(0.1), argument="epsilon") == float(np.float32(0.1))


@pytest.mark.parametrize("integer", [int, np.int64, np.uint8, np.array, torch.tensor, jnp.asarray])
def test_integers_of_other_libraries_are_integers(integer: Any) -> None:
    found = arguments.integer(integer(5), argument="images", least=1)
    assert found == 5
    assert type(found) is int


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        (True, TypeError, "epsilon is one number, not True"),
        (np.bool_(True), TypeError, "epsilon is one number, not True"),
        ("0.1", TypeError, "epsilon is one number, not '0.1'; write it without quotes"),
        ("large", TypeError, "epsilon is one number, not 'large'"),
        (np.array([0.1, 0.2]), TypeError, "epsilon is one number, not an array of shape (2,)"),
        ([np.float64(0.1)], TypeError, "epsilon is one number, not [0.1]"),
        (list(range(99)), TypeError, "epsilon is one number, not a list of 99"),
        (None, TypeError, "epsilon is one number, not None"),
        (np.float32(np.nan), ValueError, "epsilon is a finite number, not nan"),
        (10**400, ValueError, "epsilon is a finite number"),
        (-1, ValueError, "epsilon is at least 0 and at most 1, not -1"),
        (np.float64(1.5), ValueError, "epsilon is at least 0 and at most 1, not 1.5"),
    ],
)
def test_what_is_no_number_is_told(value: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        arguments.number(value, argument="epsilon", least=0, greatest=1)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [True, 1.0, np.float64(1), "1", None, torch.tensor([1])])
def test_what_is_no_integer_is_told(value: Any) -> None:
    with pytest.raises(TypeError, match="images is an integer, not "):
        arguments.integer(value, argument="images")


def mixed_up() -> list[tuple[Any, type, str, str]]:
    return [
        (bb.network("fc"), nn.Module, "network", "not a network (FullyConnected); its build(data) gives the module"),
        (bb.dataset("half-moons"), bb.Data, "data", "not a dataset (HalfMoons); its load(seed) gives the data"),
        (bb.posterior("sgd"), bb.Predictive, "predictive", "bnnbench.fit(posterior, network, data) gives the predicti"),
        (nn.Linear(2, 2), bb.Predictive, "predictive", "not a Linear"),
        ("sgd", bb.Posterior, "posterior", "not 'sgd'; bnnbench.posterior('sgd') makes a posterior from its name"),
        (bb.attack("fgsm"), bb.Posterior, "posterior", "not an attack (FastGradientSign)"),
        (type(bb.attack("fgsm")), bb.Attack, "attack", "the class FastGradientSign; FastGradientSign() makes an insta"),
        (0.1, bb.Threat, "threat", "not 0.1"),
        (None, bb.Data, "data", "not None"),
    ]


@pytest.mark.parametrize(("value", "wanted", "argument", "told"), mixed_up())
def test_what_stands_in_the_wrong_place_is_told(value: Any, wanted: type, argument: str, told: str) -> None:
    with pytest.raises(TypeError) as caught:
        arguments.instance_of(value, wanted, argument=argument, meant="what it is")
    assert str(caught.value).startswith(f"{argument} is what it is, not ")
    assert told in str(caught.value)


def test_what_stands_in_the_right_place_is_returned() -> None:
    attack = bb.attack("fgsm")
    assert arguments.instance_of(attack, bb.Attack, argument="attack", meant="an attack") is attack


@pytest.mark.parametrize("value", [(0, 1), [0, 1], np.array([0, 1]), torch.tensor([0.0, 1.0]), (np.int8(0), True + 0)])
def test_a_pair_of_numbers_is_an_interval(value: Any) -> None:
    low, high = arguments.interval(value, argument="bounds")
    assert (low, high) == (0.0, 1.0)
    assert type(low) is type(high) is float


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        ((1, 0), ValueError, "did you mean (0, 1)?"),
        ((1, 1), ValueError, "are not an interval"),
        ((0, math.nan), ValueError, "each end of bounds is a finite number, not nan"),
        ((0, 1, 2), TypeError, "bounds is a pair of numbers (smallest, largest), not (0, 1, 2)"),
        (1.0, TypeError, "bounds is a pair of numbers"),
        ("01", TypeError, "bounds is a pair of numbers"),
        ((np.zeros(3), np.ones(3)), TypeError, "each end of bounds is one number, not an array of shape (3,)"),
    ],
)
def test_what_is_no_interval_is_told(value: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        arguments.interval(value, argument="bounds")
    assert told in str(caught.value)


def test_what_is_no_flag_is_told() -> None:
    assert arguments.flag(np.bool_(True), argument="sure") is True
    for value in ("no", 1, None):
        with pytest.raises(TypeError, match="sure is True or False, not"):
            arguments.flag(value, argument="sure")


@arguments.told_names
def measure(model: Any, data: Any, *, radius: float = 0.0, seed: int = 0) -> tuple[Any, ...]:
    """All arguments."""
    return model, data, radius, seed


@pytest.mark.parametrize(
    ("given", "named", "told"),
    [
        ([1, 2], {"radios": 3}, "measure has no argument 'radios'; did you mean 'radius'?"),
        ([1, 2], {"x": 3}, "measure has no argument 'x' (model, data, radius, seed)"),
        ([1, 2, 3], {}, "measure takes model, data by position, not 3 values; the others have names: radius=, seed="),
        ([1], {}, "measure needs data: measure(model, data, ...)"),
        ([], {"radius": 1}, "measure needs model and data: measure(model, data, ...)"),
        ([1, 2], {"model": 3}, "measure: multiple values for argument 'model'"),
    ],
)
def test_a_wrong_call_is_told_by_the_names_of_its_arguments(given: list[Any], named: Any, told: str) -> None:
    with pytest.raises(TypeError) as caught:
        measure(*given, **named)
    assert str(caught.value) == told


def test_a_right_call_and_errors_inside_of_it_are_left_alone() -> None:
    assert measure(1, data=2, seed=3) == (1, 2, 0.0, 3)
    assert measure.__doc__ == "All arguments."

    @arguments.told_names
    def failing() -> None:
        raise TypeError("its own")

    with pytest.raises(TypeError, match=r"^its own$"):
        failing()
