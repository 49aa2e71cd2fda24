"""Arguments are returned in plain form, or refused in one line that names what was given and what was meant."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
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


LABELS = torch.tensor([0, 2, 1])


@pytest.mark.parametrize(
    "value",
    [
        LABELS,
        LABELS.to(torch.uint8),
        LABELS.numpy(),
        LABELS.numpy().astype(">i2"),
        LABELS.tolist(),
        tuple(LABELS.tolist()),
        list(LABELS),
        list(LABELS.numpy()),
        pd.Series([0, 2, 1], index=[5, 6, 7]),
        pd.Series([0, 2, 1], dtype="Int64"),
        jnp.asarray(LABELS.numpy()),
    ],
)
def test_integers_in_any_form_are_labels(value: Any) -> None:
    found = arguments.labels(value, 3, classes=3)
    assert found.dtype == torch.int64
    assert torch.equal(found, LABELS)


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        (LABELS.float() + 0.5, TypeError, "labels are float32, not integers, such as 0.5"),
        (LABELS.double(), TypeError, "labels are float64, not integers: convert them"),
        (LABELS == 1, TypeError, "labels are bool, not integers: convert them"),
        ([0.5, 1, 2], TypeError, "labels are float64, not integers, such as 0.5"),
        (["a", "b", "c"], TypeError, "the first is 'a'; numpy.unique"),
        (["7", "8", "9"], TypeError, "the first is '7'; y.astype(int)"),
        (pd.Series(["a", "b", "c"], dtype="category"), TypeError, "the first is 'a'; numpy.unique"),
        ([None, 1, 2], TypeError, "the first is None"),
        ([[1, 2], [3]], TypeError, "unequal parts"),
        (5, TypeError, "one integer for each input, not 5"),
        (nn.functional.one_hot(LABELS), ValueError, "they are one-hot; y.argmax(1)"),
        (nn.functional.one_hot(LABELS).float(), TypeError, "they are one-hot; y.argmax(1)"),
        (LABELS[:, None], ValueError, "y.reshape(-1)"),
        (pd.DataFrame({"label": [0, 2, 1]}), ValueError, "y.reshape(-1)"),
        (LABELS[:2], ValueError, "labels of shape (2,) for 3 inputs"),
        (LABELS - 1, ValueError, "labels: -1 (of input 0) is a negative label"),
        (torch.tensor([1, -1, 1]), ValueError, "-1 (of input 1) is a negative label; (y + 1) // 2"),
        (LABELS + 1, ValueError, "labels: label 3 (of input 1) with 3 classes; labels are 0 to 2"),
    ],
)
def test_what_is_no_label_is_told(value: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        arguments.labels(value, 3, classes=3)
    assert told in str(caught.value)
    assert str(caught.value).startswith("labels")
    assert "\n" not in str(caught.value)
