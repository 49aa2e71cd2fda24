"""Arrays and numbers are checked against the schema and the number of test images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnnbench.measurements.schema import CLASS, IMAGE, Quantity, Schema

SCHEMA = Schema(
    (
        Quantity("score", (IMAGE,), "float", "", "a score"),
        Quantity("log_probs", (IMAGE, CLASS), "float", "", "log-probabilities", log_probability=True),
        Quantity("label", (IMAGE,), "int", "", "labels", label=True),
        Quantity("few", (IMAGE,), "float", "", "values of the first images", optional=True, partial=True),
        Quantity("count", (), "int", "", "a number"),
    )
)
ARRAYS = {
    "score": np.zeros(6),
    "log_probs": np.log(np.full((6, 3), 1 / 3)),
    "label": np.array([0, 1, 2, 0, 1, 2]),
    "few": np.zeros(2),
}


def test_right_arrays_are_right() -> None:
    assert SCHEMA.wrong_arrays(ARRAYS, 6) == []
    assert SCHEMA.wrong_arrays(ARRAYS | {"few": None}, 6) == []


@pytest.mark.parametrize("images", [5, 7])
def test_arrays_of_another_number_of_images_are_wrong_even_if_they_agree_with_each_other(images: int) -> None:
    assert SCHEMA.wrong_arrays(ARRAYS, images) == ["score", "log_probs", "label"]


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("score", None),
        ("score", [0.0] * 6),
        ("score", np.zeros((6, 1))),
        ("score", np.array(["a"] * 6)),
        ("log_probs", np.full((6, 3), 0.5)),
        ("log_probs", np.full((6, 3), np.nan)),
        ("label", np.full(6, 3)),
        ("label", np.zeros(6)),
        ("few", np.zeros(7)),
    ],
)
def test_a_wrong_array_is_named(name: str, array: Any) -> None:
    assert SCHEMA.wrong_arrays(ARRAYS | {name: array}, 6) == [name]


@pytest.mark.parametrize("value", [1.0, True, None, "1", np.int64(1)])
def test_a_number_of_another_type_is_named(value: Any) -> None:
    assert SCHEMA.wrong_numbers({"count": 1}) == []
    assert SCHEMA.wrong_numbers({"count": value}) == ["count"]
