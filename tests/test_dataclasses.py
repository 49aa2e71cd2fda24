"""Dataclasses that hold arrays are compared by identity: arrays have no truth value, so `==` of two would raise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from outcomes import cell, outcome

ROOT = Path(__file__).parent.parent
ARRAY = re.compile(r"\b(Array|Labels|NDArray|ndarray|Tensor)\b")


def of_arrays() -> Iterator[tuple[str, bool]]:
    """The name of each dataclass with a field of arrays, and whether it is compared by identity."""
    for path in sorted([*ROOT.glob("bnnbench/**/*.py"), *ROOT.glob("plugins/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            fields = [ast.unparse(part.annotation) for part in node.body if isinstance(part, ast.AnnAssign)]
            decorators = map(ast.unparse, node.decorator_list)
            made = [decorator for decorator in decorators if "dataclass" in decorator]
            if made and any(ARRAY.search(field) for field in fields):
                yield f"{path.relative_to(ROOT)}:{node.name}", any("eq=False" in text for text in made)


def test_dataclasses_of_arrays_are_compared_by_identity() -> None:
    found = dict(of_arrays())
    assert len(found) > 5
    assert [name for name, by_identity in found.items() if not by_identity] == []


@pytest.mark.parametrize("found", [outcome("1111110000"), None])
def test_cells_and_outcomes_are_equal_to_themselves_alone(found: object) -> None:
    one, other = (cell("a", 0, outcome("1111110000")) for _ in range(2))
    assert one == one
    assert (one == other, one in [other], {one, other} == {other, one}) == (False, False, True)
    if found is not None:
        assert (found == found, found == outcome("1111110000")) == (True, False)
