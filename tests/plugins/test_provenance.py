"""The identity of a component: its code or its revision, and those of its parents."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from one_plugin import GOOD, Install

import bnnbench as bb
from bnnbench.matrix.plan import key_of
from bnnbench.plugins import provenance
from bnnbench.plugins.loading import load_registry


def test_edited_code_is_another_identity_unless_a_revision_speaks_for_it(install: Install) -> None:
    def identity(source: str) -> dict[str, object]:
        return (
            load_registry(install("bnnbench-noise", "noise_plugin", source)).create("attack", "uniform", {}).identity()
        )

    edited = GOOD.replace("return threat.uniform(x, rng)", "return x")
    assert edited != GOOD
    assert identity(GOOD) == identity(GOOD)
    assert identity(GOOD) != identity(edited)
    revised = "    revision = 3\n\n    def perturb"
    assert identity(GOOD.replace("    def perturb", revised)) == identity(edited.replace("    def perturb", revised))


def test_a_revision_stands_for_the_code_in_the_identity() -> None:
    class Revised(bb.Attack):
        """For this test."""

        revision: ClassVar[int | None] = 7

    assert Revised().identity()["version"] == 7


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        ("dataset", "half-moons", "b380f0f22f65ffdf60fbaffba2b945ff129eac4b11ef02944c8fa4b313a87060"),
        ("posterior", "numpyro-nuts", "e95f4bc205664471ee25d736b46b016a7e141db135a6e4aa8902f9a8af55edbc"),
        ("posterior", "bayes-by-backprop", "74f4e431b40d3e98c66eea03daec91e14050f64c53316ebb76a1152ba82eb1a9"),
        ("attack", "pgd", "265b2ba6961d762dffe470db873d486b0d0ab570e444071e66edc2177e36ad92"),
    ],
)
def test_the_identities_of_what_is_bundled_stay_as_stores_have_them(kind: str, name: str, key: str) -> None:
    """A change that is meant raises a revision, and stands here; any other would make stores worthless."""
    assert key_of(load_registry().create(kind, name, {}).identity()) == key


DERIVED = """
from parent_plugin import Uniform

from bnnbench import hookimpl

class Mine(Uniform):
    revision = 1

class Sibling(Mine):
    pass

@hookimpl
def bnnbench_register(registry):
    registry.attack("mine", Mine)
    registry.attack("sibling", Sibling)
"""


def test_what_becomes_of_a_parent_becomes_of_its_children(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(parent: str, version: str = "1.2", name: str = "mine", child: str = DERIVED) -> dict[str, object]:
        (point,) = install("parent", "parent_plugin", parent)
        metadata_file = Path(str(point.dist._path)) / "METADATA"  # type: ignore[union-attr]
        metadata_file.write_text(metadata_file.read_text().replace("1.2", version))
        provenance._provider_of_package.cache_clear()
        return load_registry(install("child", "child_plugin", child)).create("attack", name, {}).identity()

    revised = [GOOD.replace("    def perturb", f"    revision = {number}\n\n    def perturb") for number in (1, 2)]
    edited = GOOD.replace("return threat.uniform(x, rng)", "return x")
    assert identity(GOOD)["version"] == 1
    assert identity(GOOD) == identity(GOOD)
    assert identity(GOOD) != identity(GOOD, "1.3")
    assert identity(GOOD) != identity(edited)
    assert identity(revised[0]) == identity(revised[0].replace("threat.uniform(x, rng)", "x"), "1.3")
    assert identity(revised[0]) != identity(revised[1])
    assert identity(revised[0], name="sibling") != identity(revised[1], name="sibling")
    # The child's own file is in its identity, unless a revision speaks for it.
    raised = DERIVED.replace("revision = 1", "revision = 2")
    assert identity(GOOD, name="sibling") != identity(GOOD, name="sibling", child=raised)


def test_the_order_in_which_plugins_are_used_changes_no_identity(install: Install) -> None:
    points = install("parent", "parent_plugin", GOOD) + install("child", "child_plugin", DERIVED)
    first = load_registry(points).create("attack", "mine", {}).identity()
    registry = load_registry(points)
    registry.create("attack", "uniform", {})
    assert registry.create("attack", "mine", {}).identity() == first


def test_a_revision_does_not_speak_for_a_subclass() -> None:
    class Parent(bb.Attack):
        """Speaks for itself."""

        revision: ClassVar[int | None] = 4

    class Child(Parent):
        """Other code."""

    assert Parent().identity()["version"] == 4
    assert Child().identity()["version"] != 4
    assert "code" in Child().identity()
