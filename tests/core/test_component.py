"""Components: parameters, identities, and methods that belong to the core."""

from __future__ import annotations

import json
import traceback
from typing import Any, Literal

import numpy as np
import pytest
import torch
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


def test_the_class_of_a_component_tells_the_same() -> None:
    class Step(bb.Attack):
        """For this test."""

        steps: int = Field(default=1, ge=1)
        sizes: tuple[int, ...] = (1, 2)
        mode: Literal["up", "down"] = "up"
        objective: bb.ObjectiveParameter = bb.objective("log-margin")

    wrong: list[tuple[dict[str, Any], str]] = [
        ({"stepz": 3}, "no parameter 'stepz'; did you mean 'steps'?"),
        ({"steps": 0}, "steps: input should be greater than or equal to 1, not 0"),
        ({"steps": "3"}, "steps: input should be a valid integer, not '3'"),
        ({"steps": np.bool_(True)}, "steps: input should be a valid integer, not True"),
        ({"steps": np.float64(3)}, "steps: input should be a valid integer, not 3.0"),
        ({"steps": np.array([1, 2])}, "steps: input should be a valid integer, not an array of shape (2,)"),
        ({"sizes": 3}, "sizes: input should be a valid tuple, not 3; did you mean (3,)?"),
        ({"sizes": (1.5,)}, "sizes.0: input should be a valid integer"),
        ({"mode": "Up"}, "mode: input should be 'up' or 'down', not 'Up'; did you mean 'up'?"),
        ({"objective": bb.attack("fgsm")}, "objective: an instance of Objective is meant, not an attack"),
        ({"objective": type(bb.objective("log-margin"))}, "objective: an instance of Objective is meant, not the clas"),
        ({"objective": "log-marginn"}, "objective: no objective named 'log-marginn'; did you mean 'log-margin'?"),
    ]
    for parameters, told in wrong:
        with pytest.raises(bb.ParameterError) as caught:
            Step(**parameters)
        assert str(caught.value).startswith(f"attack Step: {told}")
        assert "\n" not in str(caught.value)
        # The addresses of pydantic's documentation stand neither here nor in a cause.
        assert "pydantic" not in "".join(traceback.format_exception_only(caught.value))
        assert caught.value.__suppress_context__
    with pytest.raises(bb.ParameterError, match=r"attack Step is frozen: model_copy\(update=\{'steps': ...\}\)"):
        Step().steps = 2  # type: ignore[misc]
    with pytest.raises(bb.ParameterError, match="attack Step is frozen"):
        del Step().steps
    with pytest.raises(bb.ParameterError, match="no parameter 'stepz'; did you mean 'steps'"):
        Step().model_copy(update={"stepz": 1})


def test_numbers_of_numpy_and_torch_make_the_components_that_plain_numbers_make() -> None:
    class Mixed(bb.Attack):
        """For this test."""

        count: int = 1
        share: float = 0.5
        flag: bool = True
        sizes: tuple[int, ...] = (1, 2)
        pairs: tuple[tuple[int, float], ...] = ()
        by_name: dict[str, float] = {}

    plain = Mixed(count=5, share=0.25, flag=False, sizes=(3, 4), pairs=((1, 0.5),), by_name={"a": 2.0})
    others: list[dict[str, Any]] = [
        {"count": np.int64(5), "share": np.float32(0.25), "flag": np.bool_(False), "sizes": np.array([3, 4])},
        {"count": np.array(5), "share": torch.tensor(0.25), "flag": torch.tensor(False), "sizes": [np.int8(3), 4]},
        {"count": torch.tensor(5), "share": np.float64(0.25), "flag": np.array(False), "sizes": torch.tensor([3, 4])},
    ]
    for other in others:
        made = Mixed(**other, pairs=((np.int64(1), np.float32(0.5)),), by_name={"a": np.float64(2.0)})
        assert made == plain
        assert json.dumps(made.identity()) == json.dumps(plain.identity())
        assert [type(value) for value in made.sizes] == [int, int]
    assert type(made.count) is int
    assert type(made.flag) is bool
    assert Mixed(share=np.float32(0.1)).share == float(np.float32(0.1))
    assert bb.attack("pgd", steps=np.arange(5, 6)[0]).identity() == bb.attack("pgd", steps=5).identity()


def test_a_parameter_that_is_an_array_stays_one() -> None:
    class Holds(bb.Attack):
        """For this test."""

        model_config = {"arbitrary_types_allowed": True}
        point: torch.Tensor = torch.tensor(0.0)

    point = torch.tensor(3.0)
    assert Holds(point=point).point is point


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


@pytest.mark.parametrize(
    ("base", "name"), [(bb.Attack, "use"), (bb.Dataset, "sweep"), (bb.Dataset, "epsilons"), (bb.Dataset, "threats")]
)
def test_a_parameter_that_no_file_could_set_is_refused(base: type[bb.Component], name: str) -> None:
    with pytest.raises(bb.PluginError, match=f"'{name}' has a meaning of its own in benchmarks files"):
        type("Odd", (base,), {"__annotations__": {name: int}, name: 1, "__module__": __name__})
