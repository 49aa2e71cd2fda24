"""A component's identity follows the components inside of it, wherever they stand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

import bnnbench as bb
from bnnbench.errors import StoreError
from bnnbench.running.tasks.worker import check_code


class Inner(bb.Objective):
    """A component whose outcome changes when its revision is raised."""

    revision: ClassVar[int | None] = 1

    scale: float = 1.0
    """A parameter."""

    def value(self, log_probs: Any, y: Any) -> Any:
        return -log_probs[:, range(len(y)), y].mean(0)


class Model(BaseModel):
    """A model that is no component."""

    model_config = ConfigDict(frozen=True)
    objective: Inner = Inner()


@dataclasses.dataclass(frozen=True)
class Record:
    """A dataclass that holds a component."""

    objective: Inner


class Holder(bb.Attack):
    """An attack that holds components in every way."""

    revision: ClassVar[int | None] = 1

    direct: Inner = Inner()
    """A field."""
    several: tuple[Inner, ...] = ()
    """A tuple."""
    listed: list[Inner] = []
    """A list."""
    named: dict[str, Inner] = {}
    """A mapping."""
    model: Model = Model()
    """A nested model."""
    record: Record | None = None
    """A dataclass."""
    deep: dict[str, tuple[dict[str, Inner], ...]] = {}
    """A mapping of tuples of mappings."""


PLACES: dict[str, Callable[[Inner], dict[str, Any]]] = {
    "a field": lambda inner: {"direct": inner},
    "a tuple": lambda inner: {"several": (Inner(), inner)},
    "a list": lambda inner: {"listed": [inner]},
    "a mapping": lambda inner: {"named": {"one": inner}},
    "a nested model": lambda inner: {"model": Model(objective=inner)},
    "a dataclass": lambda inner: {"record": Record(inner)},
    "deep inside": lambda inner: {"deep": {"a": ({"b": inner},)}},
}


@pytest.mark.parametrize("place", PLACES)
def test_a_raised_revision_of_a_component_inside_changes_the_identity(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Holder(**PLACES[place](Inner(scale=2.0))).identity()
    assert Holder(**PLACES[place](Inner(scale=2.0))).identity() == before
    assert Holder(**PLACES[place](Inner(scale=3.0))).identity() != before
    monkeypatch.setattr(Inner, "revision", 2)
    assert Holder(**PLACES[place](Inner(scale=2.0))).identity() != before


@pytest.mark.parametrize("place", PLACES)
def test_a_component_inside_is_found_and_rebuilt_where_it_stands(place: str) -> None:
    holder = Holder(**PLACES[place](Inner(scale=2.0)))
    assert [found.scale for _, found in holder.components() if found.scale != 1.0] == [2.0]  # type: ignore[attr-defined]
    rebuilt = holder.rebuilt()
    assert rebuilt == holder
    assert rebuilt.identity() == holder.identity()
    before = {id(found) for _, found in holder.components()}
    assert not before & {id(found) for _, found in rebuilt.components()}


@pytest.mark.parametrize("place", PLACES)
def test_a_task_notices_that_the_code_of_a_component_inside_has_changed(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = Holder(**PLACES[place](Inner(scale=2.0)))
    holder.identity()
    check_code(holder)
    monkeypatch.setattr(Inner, "revision", 2)
    with pytest.raises(StoreError, match="not what the run was planned with"):
        check_code(holder)


class Ensemble(bb.Attack):
    """An attack made of others."""

    revision: ClassVar[int | None] = 1

    attacks: tuple[bb.AttackParameter, ...] = ()
    """The attacks."""


def test_ensembles_of_other_attacks_have_other_identities() -> None:
    """An objective inside of an attack inside of an ensemble counts too."""
    made = [
        Ensemble(),
        Ensemble(attacks=("fgsm",)),
        Ensemble(attacks=("fgsm", "pgd")),
        Ensemble(attacks=("pgd", "fgsm")),
        Ensemble(attacks=("fgsm", {"use": "pgd", "steps": 3})),
        Ensemble(attacks=("fgsm", bb.attack("pgd", steps=3, objective="log-margin"))),
    ]
    identities = [str(attack.identity()) for attack in made]
    assert len(set(identities)) == len(made)
    assert made[4].identity() == Ensemble(attacks=("fgsm", bb.attack("pgd", steps=3))).identity()
    assert [path for path, _ in made[5].components()] == [
        ".attacks.0",
        ".attacks.0.objective",
        ".attacks.1",
        ".attacks.1.objective",
    ]


def test_identities_of_attacks_with_an_objective_are_what_stores_hold() -> None:
    """The form of identities is part of all keys: a component in a field stands there with its own identity."""
    identity = bb.attack("fgsm").identity()
    assert identity == {
        "component": "bnnbench_plugins.attacks.fgsm:FastGradientSign",
        "version": 1,
        "parameters": {
            "objective": {
                "component": "bnnbench_plugins.objectives.losses:PredictiveNLL",
                "version": 1,
                "parameters": {},
            }
        },
    }


class Words(bb.Attack):
    """An attack with a set, and with a named tuple."""

    revision: ClassVar[int | None] = 1
    words: frozenset[str] = frozenset()
    """A set."""


def test_the_identity_of_a_set_has_an_order() -> None:
    """The order of a set of texts differs between processes, and the key must not."""
    letters = [chr(code) for code in range(97, 123)]
    identity = Words(words=frozenset(letters)).identity()
    assert identity["parameters"]["words"] == letters
