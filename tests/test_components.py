"""`bnnbench.attack("pgd")` and its sisters take a name."""

from __future__ import annotations

from typing import Any

import pytest

import bnnbench as bb


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (None, "not None"),
        (3, "not 3"),
        (bb.attack("fgsm"), "not an attack (FastGradientSign)"),
        (type(bb.attack("fgsm")), "not the class FastGradientSign; FastGradientSign() makes an instance"),
    ],
)
def test_what_is_no_name_is_told(name: Any, told: str) -> None:
    with pytest.raises(TypeError) as caught:
        bb.attack(name)
    assert str(caught.value) == f"name is the registered name of an attack, {told}"


@pytest.mark.parametrize("name", ["eps", "epsilon", "norm"])
def test_what_belongs_to_the_threat_is_told(name: str) -> None:
    with pytest.raises(
        bb.ParameterError, match=rf"^attack pgd: no parameter '{name}': it belongs to the threat, as in"
    ):
        bb.attack("pgd", steps=10, **{name: 0.1})
    with pytest.raises(bb.ParameterError, match="no parameter 'step'; did you mean 'steps'"):
        bb.attack("pgd", step=10)


def test_a_call_without_a_name_or_with_values_without_names_is_told() -> None:
    with pytest.raises(TypeError, match=r"^attack takes name by position, not 2 values; the others have names$"):
        bb.attack("pgd", 10)  # type: ignore[call-arg]
    for given in ({}, {"name": "pgd"}):
        with pytest.raises(TypeError, match=r"^attack needs name: attack\(name, \.\.\.\)$"):
            bb.attack(**given)


@pytest.mark.parametrize(("name", "told"), [("PGD", "did you mean 'pgd'"), ("SGD", "'sgd' is a posterior")])
def test_capital_letters_do_not_hide_what_was_meant(name: str, told: str) -> None:
    with pytest.raises(bb.UnknownComponent, match=told):
        bb.attack(name)
