"""Components: parameters, identities, and methods that belong to the core."""

from __future__ import annotations

import pytest
from pydantic import Field

import bnnbench as bb


def test_parameters_are_never_coerced() -> None:
    class Probe(bb.Attack):
        """For this test."""

        count: int = Field(default=1, ge=0)
        sizes: tuple[int, ...] = (1, 2)
        others: tuple[int, ...] | None = None

    assert Probe(sizes=[3, 4]).sizes == (3, 4)  # type: ignore[arg-type]
    assert Probe(others=[3, 4]).others == (3, 4)  # type: ignore[arg-type]
    for wrong in ({"count": True}, {"count": "3"}, {"count": 1.0}, {"sizes": [1.5]}, {"sizes": "ab"}, {"other": 1}):
        with pytest.raises(ValueError):
            Probe(**wrong)
    with pytest.raises(ValueError, match="frozen"):
        Probe().count = 2  # type: ignore[misc]


def test_what_a_component_does_not_take_is_told_in_one_line() -> None:
    for parameters, told in (
        ({"stepz": 3}, "attack pgd: no parameter 'stepz'; did you mean 'steps'?"),
        ({"step_size": 0.1}, "attack pgd: no parameter 'step_size'; did you mean 'relative_step_size'?"),
        ({"steps": 0}, "attack pgd: steps: input should be greater than or equal to 1"),
        ({"restarts": 2, "random_start": False}, "attack pgd: restarts above 1 need random_start"),
    ):
        with pytest.raises(bb.ParameterError) as caught:
            bb.attack("pgd", **parameters)
        assert str(caught.value).startswith(told)
        assert "\n" not in str(caught.value)
    with pytest.raises(bb.UnknownComponent, match="did you mean 'numpyro-nuts'"):
        bb.posterior("nuts")


def test_a_changed_copy_is_another_component_and_is_checked() -> None:
    pgd = bb.attack("pgd", steps=15)
    identity = pgd.identity()
    stronger = pgd.stronger()
    assert stronger is not None
    assert stronger.identity() == bb.attack("pgd", steps=30).identity() != identity
    with pytest.raises(ValueError, match="greater than or equal"):
        pgd.model_copy(update={"steps": 0})


def test_a_mixin_cannot_take_over_what_belongs_to_the_core() -> None:
    class Evil:
        def __call__(self) -> str:
            return "cheat"

    with pytest.raises(bb.PluginError, match="belongs to the core"):

        class Cheating(Evil, bb.Attack):  # type: ignore[misc]
            """Not by the rules."""
