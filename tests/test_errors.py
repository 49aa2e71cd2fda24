"""The texts of errors."""

from __future__ import annotations

import pytest

from bnnbench.errors import DataError, Incompatible, closest, message_of


class Mute(Exception):
    """An exception without a text."""

    def __str__(self) -> str:
        raise RuntimeError("on purpose")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no such thing"), "ValueError: no such thing"),
        (ValueError(), "ValueError"),
        (ValueError(" \n"), "ValueError"),
        (KeyError("a"), "KeyError: 'a'"),
        (AssertionError(), "AssertionError"),
        (SystemExit(), "SystemExit"),
        (Mute(), "Mute: its text cannot be made"),
        (DataError("no such file"), "no such file"),
        (DataError(), "DataError"),
        (Incompatible(" "), "Incompatible"),
    ],
)
def test_an_error_without_a_text_is_told_by_its_class(error: BaseException, told: str) -> None:
    assert message_of(error) == told


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("PGD", ["fgsm", "pgd"], "pgd"),
        ("net", ["Net", "other"], "Net"),
        ("Stps", ["steps", "stop"], "steps"),
        ("margin", ["log-Margin", "loss"], "log-Margin"),
        ("xyz", ["pgd"], None),
    ],
)
def test_the_name_that_was_probably_meant(word: str, known: list[str], meant: str | None) -> None:
    """Capital letters do not matter, and the name is told as it is written."""
    assert closest(word, known) == meant
