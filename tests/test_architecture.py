"""The shape of the source: small files, small functions, and a test for each room."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import bnnbench_plugins

import bnnbench

LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 250, 60
PACKAGES = (Path(bnnbench.__file__).parent, Path(next(iter(bnnbench_plugins.__path__))))
FILES = {str(file.relative_to(package.parent)): file for package in PACKAGES for file in sorted(package.rglob("*.py"))}


def test_no_file_is_long() -> None:
    lengths = {name: len(file.read_text().splitlines()) for name, file in FILES.items()}
    assert len(lengths) > 100
    assert {name: lines for name, lines in lengths.items() if lines > LINES_OF_A_FILE} == {}


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """The name of each function and method of a file, and its number of lines from its `def` to its end."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_function_is_long() -> None:
    lengths = {f"{name}: {function}": lines for name, file in FILES.items() for function, lines in functions(file)}
    assert len(lengths) > 500
    assert {name: lines for name, lines in lengths.items() if lines > LINES_OF_A_FUNCTION} == {}


def test_every_room_of_the_source_has_its_folder_of_tests() -> None:
    here = Path(__file__).parent
    rooms = [entry for entry in PACKAGES[0].iterdir() if (entry / "__init__.py").exists()]
    assert len(rooms) > 10
    assert not [room.name for room in rooms if not list((here / room.name).rglob("test_*.py"))]


def test_every_file_of_the_core_package_stands_on_the_page_about_the_architecture() -> None:
    page = (Path(__file__).parent.parent / "docs/architecture.md").read_text()
    named = set(re.findall(r"`([\w/]+\.py)`", page))
    files = {name.removeprefix("bnnbench/") for name in FILES if name.startswith("bnnbench/")}
    entry_points = {name for name in files if name.endswith(("__init__.py", "__main__.py"))}
    stands = {name for name in files for one in named if f"/{name}".endswith(f"/{one}")}
    assert files - entry_points - stands == set()
    assert {one for one in named if not any(f"/{name}".endswith(f"/{one}") for name in FILES)} == set()
