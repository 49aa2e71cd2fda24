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
