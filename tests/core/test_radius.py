"""Radii as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnnbench.core.radius import fraction_of, level_text, radius_of, radius_text, short_radius


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8/255", 8 / 255),
        ("4 / 255", 4 / 255),
        ("0.5/255", 0.5 / 255),
        ("1e-1/2.5", 0.1 / 2.5),
        ("+.5/1", 0.5),
        ("0/255", 0.0),
        ("-8/255", -8 / 255),
    ],
)
def test_a_fraction_is_the_float_that_division_gives(text: str, value: float) -> None:
    assert fraction_of(text) == value
    assert radius_of(text) == value


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_every_fraction_of_integers_is_exact(above: int, below: int) -> None:
    assert fraction_of(f"{above}/{below}") == above / below


@pytest.mark.parametrize(
    "text", ["", "8", "8/", "/255", "8/255/2", "eight/255", "8÷255", "inf/2", "٨/255x", "9" * 99 + "/1"]
)
def test_other_texts_are_no_fractions(text: str) -> None:
    with pytest.raises(ValueError, match="a number or a fraction such as 8/255 is meant"):
        fraction_of(text)


def test_a_division_by_zero_is_refused() -> None:
    for text in ("8/0", "0/0.0", "1/1e-999"):
        with pytest.raises(ValueError, match="cannot be divided by zero"):
            fraction_of(text)


@pytest.mark.parametrize(
    ("value", "text"), [(8.0, "8"), (0.05, "0.05"), (0.0, "0"), (8 / 255, "0.03137254901960784"), (1e-7, "1e-07")]
)
def test_a_radius_as_text_is_exact_and_short(value: float, text: str) -> None:
    assert radius_text(value) == text
    assert radius_of(text) == value


@pytest.mark.parametrize(
    ("value", "text", "short"),
    [
        (8 / 255, "8/255", "8/255"),
        (254 / 255, "254/255", "254/255"),
        (51 / 255, "0.2", "0.2"),
        (0.0, "0", "0"),
        (8.0, "8", "8"),
        (1 / 3, "85/255", "85/255"),
        (0.1234567891, "0.1234567891", "0.123457"),
        (8 / 255 + 1e-12, "0.03137254902060784", "0.0313725"),
    ],
)
def test_radii_are_told_in_255ths_where_that_is_exact(value: float, text: str, short: str) -> None:
    assert level_text(value) == text
    assert radius_of(text) == value
    assert short_radius(value) == short
