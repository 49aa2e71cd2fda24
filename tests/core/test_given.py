"""Inputs, radii and threats in the forms in which programs have them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import bnnbench as bb
from bnnbench.core.given import as_inputs, as_threats


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.zeros((2, 3), "u1"), torch.float32),
        (np.zeros((2, 3), "u2"), torch.float32),
        (np.zeros((2, 3), ">f4"), torch.float32),
        (np.zeros((2, 3), "f2"), torch.float16),
        (np.zeros((2, 3), np.longdouble), torch.float64),
        (np.zeros((2, 3), bool), torch.float32),
        (np.zeros((4, 3))[::2], torch.float64),
        (torch.zeros(2, 3, dtype=torch.int64), torch.float32),
        (torch.zeros(2, 3, dtype=torch.bfloat16), torch.bfloat16),
        ([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], torch.float64),
        ([[0, 1, 2], [3, 4, 5]], torch.float32),
    ],
)
def test_inputs_of_any_numeric_type_are_floats(given: Any, dtype: torch.dtype) -> None:
    x = as_inputs(given)
    assert x.dtype == dtype
    assert x.shape == (2, 3)
    assert np.array_equal(
        x.float().numpy(), np.asarray(given, "f4") if not isinstance(given, torch.Tensor) else given.float()
    )


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("text", TypeError),
        ([["a", "b"]], TypeError),
        (torch.zeros(2, 3, dtype=torch.complex64), TypeError),
        (np.zeros((2, 3), complex), TypeError),
        ([[1.0], [1.0, 2.0]], TypeError),
        (None, TypeError),
        (np.zeros(3), ValueError),
        (np.zeros((0, 3)), ValueError),
        (torch.zeros(2, 3, device="meta"), TypeError),
        (torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]), TypeError),
        (np.ma.masked_equal(np.arange(6.0).reshape(2, 3), 4), TypeError),
    ],
)
def test_what_are_no_inputs_is_told(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^inputs"):
        as_inputs(given)


def test_sparse_and_quantised_inputs_are_expanded() -> None:
    x = torch.tensor([[0.0, 0.5], [1.0, 0.0]])
    assert torch.equal(as_inputs(x.to_sparse()), x)
    assert torch.equal(as_inputs(x.to_sparse_csr()), x)
    assert torch.equal(as_inputs(torch.quantize_per_tensor(x, 0.5, 0, torch.quint8)), x)


def test_radii_are_numbers_texts_and_threats_alone_or_in_lists() -> None:
    def radii(value: Any) -> list[float]:
        return [threat.epsilon for threat in as_threats(value, argument="epsilon", box=(0, 1))]

    assert radii(0.1) == radii([0.1]) == radii(np.float64(0.1)) == radii(np.array(0.1)) == [0.1]
    assert radii(1) == radii("1") == [1.0]
    assert radii("8/255") == radii(Fraction(8, 255)) == [8 / 255]
    assert radii(Decimal("0.1")) == [0.1]
    assert radii(np.array([0.0, 0.5])) == radii((0, "1/2")) == radii(torch.tensor([0.0, 0.5])) == [0.0, 0.5]
    both = as_threats([bb.Threat(epsilon=0.1), bb.Threat(epsilon=2.0, norm="l2"), 3], argument="threat")
    assert [threat.epsilon for threat in both] == [0.1, 2.0, 3.0]
    assert as_threats(0.1, argument="epsilon", box=(-1, 1))[0].bounds == (-1, 1)
    assert as_threats(bb.Threat(epsilon=0.1, bounds=(0, 2)), argument="threat", box=(-1, 1))[0].bounds == (0, 2)


@pytest.mark.parametrize("given", [-0.1, [0.1, -0.1], [], "much", "1/0", float("nan")])
def test_radii_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        as_threats(given, argument="epsilon")


@pytest.mark.parametrize("given", [None, True, [None], {"epsilon": 0.1}, [[0.1]]])
def test_what_is_no_radius_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="epsilon is a radius"):
        as_threats(given, argument="epsilon")


def test_threats_of_one_run_differ_in_norm_and_radius_alone() -> None:
    with pytest.raises(ValueError, match="must differ in norm and epsilon alone"):
        as_threats([0.1, bb.Threat(epsilon=0.1, access="scores")], argument="threat")
