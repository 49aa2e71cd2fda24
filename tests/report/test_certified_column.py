"""The column `certified` in every layout of tables."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from outcomes import block_of, cell, certified, outcome

import bnnbench as bb
from bnnbench.evidence import overview
from bnnbench.report import tables
from bnnbench.report.latex import _latex_block
from bnnbench.report.markdown import _markdown_block
from bnnbench.report.measure_tables import grids
from bnnbench.report.terminal import render
from bnnbench.statistics.intervals import wilson

MEANING = "images at which no attack in the ball can succeed (proof)"
BRACKET = f"{MEANING}; the truth lies between certified and worst"
CELLS = [
    cell("fgsm", 0, outcome("1111111000")),
    cell("pgd", 0, outcome("1111110000")),
    certified("ibp", 0, "1110000000"),
    certified("crown", 0, "1111000000"),
]


def shown(block: tables.Block, width: int = 140) -> str:
    """A table on a terminal of so many columns."""
    from rich.console import Console

    buffer = io.StringIO()
    for part in render([block], width):
        Console(file=buffer, width=width).print(part)
    return buffer.getvalue()


def test_certified_stands_beside_worst() -> None:
    block = block_of("moons", "fc", CELLS)
    assert block.columns == ["clean", "fgsm", "pgd", "certified", "worst"]
    *_, proven, worst = block.lines[0].figures
    assert (proven.mean, worst.mean) == (0.4, 0.6)
    assert (proven.low, proven.high) == wilson(4, 10)
    assert (proven.marks, worst.marks, block.marks) == ("", "", [])
    for text in (_markdown_block(block), _latex_block(block)):
        assert re.findall(r"([\d.]+) \[", text)[:5] == ["100.0", "70.0", "60.0", "40.0", "60.0"]
        assert "the truth lies between certified and worst" in text
    assert re.search(rf"^ certified +{re.escape(BRACKET)}$", shown(block), re.M)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_figure_is_lost_on_narrow_terminals(width: int) -> None:
    text = shown(block_of("moons", "fc", CELLS), width)
    assert max(map(len, text.splitlines())) <= width
    assert sum(line.count("certified") for line in text.splitlines() if line.startswith("posterior")) == 1
    for number in ("100.0", "70.0", "60.0", "40.0"):
        assert number in text


def test_certificates_alone_have_no_worst_case() -> None:
    block = block_of("moons", "fc", CELLS[2:])
    assert block.columns == ["clean", "certified"]
    assert [figure.number for figure in block.lines[0].figures] == ["100.0", "40.0"]
    assert block.attacker == "Threat: l-infinity ball of radius eps; proofs about the defender's draws (3)."
    text = shown(block)
    assert re.search(rf"^ certified +{re.escape(MEANING)}$", text, re.M)
    assert "worst" not in text
    assert "attacker" not in text


def test_attacks_alone_have_no_certified() -> None:
    block = block_of("moons", "fc", CELLS[:2])
    assert block.columns == ["clean", "fgsm", "pgd", "worst"]
    assert "certified" not in shown(block)


def test_what_is_missing_is_marked_or_told() -> None:
    some = [*CELLS[:3], certified("crown", 0, "", status="failed")]
    proven = block_of("moons", "fc", some).lines[0].figures[-2]
    assert proven.number == "30.0+"
    none = [*CELLS[:2], certified("crown", 0, "", status="skipped")]
    block = block_of("moons", "fc", none)
    assert block.lines[0].figures[-2].number == "skipped"
    assert any("skipped" in note for note in block.notes)
    assert f"\n certified  {MEANING}" not in shown(block)
    seeds = [certified("ibp", 0, "1100000000"), certified("ibp", 1, "1111000000")]
    figure = block_of("moons", "fc", seeds).lines[0].figures[-1]
    assert (figure.number, figure.seeds) == ("30.0", (0.2, 0.4))
    assert (figure.low, figure.high) == pytest.approx(wilson(3, 10))
    assert block_of("moons", "fc", [*seeds, certified("crown", 0, "1000000000")]).lines[0].figures[-1].marks == "+"


def test_lines_that_certificates_alone_have_are_shown() -> None:
    wide = replace(CELLS[2], spec=replace(CELLS[2].spec, threat=bb.Threat(epsilon=0.2)))
    lines = block_of("moons", "fc", [*CELLS[:2], wide]).lines
    assert [[figure.number for figure in line.figures] for line in lines] == [
        ["100.0", "70.0", "60.0", "-", "60.0"],
        ["100.0", "-", "-", "30.0", "-"],
    ]


def test_the_overview_has_the_same_columns() -> None:
    text = overview.as_text("here", CELLS).splitlines()
    assert text[1] == (
        "moons / fc: robust accuracy in %, and what is certified and the worst case with their 95% intervals"
    )
    assert text[2].split() == ["posterior", "radius", "clean", "fgsm", "pgd", "certified", "worst"]
    assert re.findall(r"[\d.]+ \[", text[3]) == ["40.0 [", "60.0 ["]
    alone = overview.as_text("here", CELLS[2:]).splitlines()
    assert alone[0] == "Results(here: 2 cells: 2 ok)"
    assert alone[2].split() == ["posterior", "radius", "clean", "certified"]
    partial = overview.as_text("here", [*CELLS[:3], certified("crown", 0, "", status="failed")])
    assert "30.0+ [" in partial
    assert partial.splitlines()[-1].startswith("+  partial")


def test_certificates_have_no_table_of_a_measure() -> None:
    from types import SimpleNamespace

    assert grids(SimpleNamespace(cells=CELLS)) == []  # type: ignore[arg-type]
