"""Rows and texts for machines."""

from __future__ import annotations

import re
from dataclasses import replace

from outcomes import cell

import bnnbench as bb
from bnnbench.report import tables
from bnnbench.report.latex import _latex_block
from bnnbench.report.markdown import _markdown_block
from bnnbench.report.rows import _csv_value


def test_rows_say_all_that_differs_in_their_threats() -> None:
    asked = bb.Threat(epsilon=0.1, access="scores", stream="fresh", attack_draws=2)
    own = cell("a", 0, None, status="failed")
    row = replace(own, spec=replace(own.spec, threat=asked)).row()
    names = list(row)
    assert names[names.index("card") :][:4] == ["card", "access", "goal", "attack_draws_asked"]
    assert (row["access"], row["goal"], row["attack_draws_asked"]) == ("scores", "untargeted", 2)
    assert row["attack_draws"] is None


def test_text_is_no_formula_and_no_markup() -> None:
    assert _csv_value("=1+1") == "'=1+1"
    assert _csv_value(["@a", "b"]) == "'@a; b"
    assert _csv_value(-0.5) == -0.5
    line = tables.Line("[x](y)~", "0.1", [tables.Entry(text="failed")])
    hostile = tables.Block("a_b", "c|d<i>", 10, 1, "linf", ["<b>|"], [line], [], ["x: failed: <script>|`"])
    told = _markdown_block(hostile)
    assert not re.search(r"(?<!\\)<", told)
    assert r"| \[x\](y)\~ | 0.1 | failed |" in told
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in told.splitlines()[4:7]] == [4, 4, 4]
    assert r"a\_b" in _latex_block(hostile)
