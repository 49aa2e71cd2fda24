"""Benchmarks files that were made to harm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import called
from strangers import FILE

from bnnbench.errors import BnnbenchError
from bnnbench.matrix.config_reader import read_config


@pytest.mark.parametrize(
    "text",
    [
        FILE.replace("{sgd: {}}", f"{{sgd: {{sweep: {{epochs: [{', '.join(map(str, range(1, 5000)))}]}}}}}}").replace(
            "[0.1]", f"[{', '.join(f'0.{number:05}' for number in range(1, 300))}]"
        ),
        FILE.replace("epsilons", f"seeds: [{', '.join(map(str, range(19_000)))}]\nepsilons").replace(
            "{sgd: {}}", "{sgd: {sweep: {epochs: [1, 2, 3, 4, 5, 6]}}}"
        ),
        FILE.replace(
            "{sgd: {}}",
            "{sgd: {sweep: {"
            + ", ".join(f"{name}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for name in "abcdefghijkl")
            + "}}}",
        ),
        FILE.replace(
            "{sgd: {}}",
            f"{{sgd: {{sweep: {{a: [], b: {list(range(5000))}, c: {list(range(5000))}}}}}}}",
        ),
    ],
    ids=["components and threats", "seeds", "sweeps", "sweeps, one of them empty"],
)
def test_a_million_cells_are_counted_before_they_are_made(tmp_path: Path, text: str) -> None:
    (tmp_path / "benchmarks.yaml").write_text(text)
    done = called("plan", folder=tmp_path)  # To make them would take hours.
    assert done.returncode == 2
    assert "cells, more than 100000 (--max-cells)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("label", ["../../etc", "a/b", "nul\\0", "\\u202eabc", "\\e[31m", "-rf", "a b", "[bold]", ""])
def test_labels_are_plain(tmp_path: Path, label: str) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE.replace("sgd: {}", f'"{label}": {{use: sgd}}'))
    done = called("plan", folder=tmp_path)
    assert done.returncode == 2
    assert "does not match" in done.stderr
    assert all(char.isprintable() or char == "\n" for char in done.stderr)


def test_nothing_that_a_terminal_obeys_comes_from_a_file_name(tmp_path: Path) -> None:
    name = "\x1b[31mred.yaml"
    (tmp_path / name).write_text("{")
    done = called("run", name, folder=tmp_path)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr


def test_every_refusal_is_one_of_ours(tmp_path: Path) -> None:
    for content in (
        b"\x80",
        b"\xff\xfe",
        b"{" * 10_000,
        b"a: " * 5_000,
        b"- " * 3_000,
        json.dumps([[]] * 60_000).encode(),
    ):
        (tmp_path / "benchmarks.yaml").write_bytes(content)
        with pytest.raises(BnnbenchError):
            read_config(tmp_path / "benchmarks.yaml")
