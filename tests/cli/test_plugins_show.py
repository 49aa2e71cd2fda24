"""`plugins show` describes every component, whatever its parameters are."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, Field

import bnnbench as bb
from bnnbench.cli.plugins import _describe
from bnnbench.plugins.registrar import Entry


class Colour(Enum):
    red = "red"


class Inner(BaseModel):
    depth: int = 3


class Opaque:
    """A type without a JSON schema."""

    def __repr__(self) -> str:
        return "opaque"


class Unusual(bb.Attack):
    """Has parameters of many types."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    revision: ClassVar[int | None] = 1

    names: tuple[str, ...] = Field(default_factory=lambda: ("a", "b"))
    attack: bb.AttackParameter = bb.attack("fgsm")
    inner: Inner = Inner()
    colour: Colour = Colour.red
    numbers: frozenset[int] = frozenset({1})
    path: Path = Path("here")


class Strange(Unusual):
    """Has a parameter that no schema describes, too."""

    revision: ClassVar[int | None] = 1

    opaque: Any = Opaque()
    worse: Opaque = Opaque()


@pytest.mark.parametrize("model", [Unusual, Strange])
def test_every_default_is_shown(model: type[bb.Attack], capsys: pytest.CaptureFixture[str]) -> None:
    _describe(Entry("attack", "odd", model, None, "plugin", "dist", "1"))
    shown = capsys.readouterr().out
    for line in ("names: ", '= ["a", "b"]', '"depth": 3', "red", "[1]", "here"):
        assert line in shown
    assert ("opaque" in shown) == (model is Strange)


def test_a_component_without_parameters_says_so_and_lines_fit_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    class Plain(bb.Attack):
        """Does nothing that would take a parameter, and says so at such a length that a terminal of eighty columns
        cannot hold it in one line."""

        revision: ClassVar[int | None] = 1

    _describe(Entry("attack", "plain", Plain, None, "plugin", "dist", "1"))
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1] == "no parameters"
    assert all(len(line) <= 80 for line in shown[3:])
