"""Tables on a terminal: they wrap and drop no digit."""

from __future__ import annotations

import io
import re

from outcomes import cell, outcome

from bnnbench.report import tables
from bnnbench.report.latex import _latex_block
from bnnbench.report.markdown import _markdown_block
from bnnbench.report.terminal import render


def test_many_columns_wrap_into_panels_and_keep_every_figure() -> None:
    from rich.console import Console

    attacks = [f"attack-number-{number}" for number in range(9)]
    cells = [cell(name, 0, outcome("1" * (10 - number) + "0" * number)) for number, name in enumerate(attacks)]
    block = tables._block("moons", "fc", cells)
    for width in (60, 80, 250):
        buffer = io.StringIO()
        console = Console(file=buffer, width=width)
        for part in render([block], width):
            console.print(part)
        text = buffer.getvalue()
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width
        for number, name in enumerate(attacks):
            assert name in text
            assert f"{100 - 10 * number}.0" in text
            assert re.search(re.escape(block.lines[0].figures[1 + number].interval), text)


def test_a_table_is_as_wide_as_was_counted_and_breaks_no_word() -> None:
    from rich.console import Console

    names = ["random", "fgsm", "pgd"]
    cells = [cell(name, seed, outcome("1" * (8 - seed) + "0" * (2 + seed))) for name in names for seed in range(3)]
    block = tables._block("moons", "fc", cells)
    for width in range(40, 130):
        buffer = io.StringIO()
        console = Console(file=buffer, width=width)
        for part in render([block], width):
            console.print(part)
        lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
        assert max(map(len, lines)) <= width
        heads = " ".join(line for line in lines if re.match("posterior +eps", line))
        assert [heads.count(name) for name in (*names, "clean", "worst")] == [1] * 5, (width, lines)


def test_a_column_shows_its_own_figures_whatever_it_is_called() -> None:
    from rich.console import Console

    cells = [cell("clean", 0, outcome("1111100000")), cell("worst", 0, outcome("1111111000"))]
    block = tables._block("moons", "fc", cells)
    for width in (40, 120):
        buffer = io.StringIO()
        for part in render([block], width):
            Console(file=buffer, width=width).print(part)
        found = re.findall(r"\d+\.\d", re.sub(r"\d+\.\d-\d+\.\d", "", buffer.getvalue()))
        assert [number for number in found if number != "0.1"] == ["100.0", "50.0", "70.0", "50.0"], width
    assert re.findall(r"([\d.]+) \[", _markdown_block(block)) == ["100.0", "50.0", "70.0", "50.0"]
    assert re.findall(r"([\d.]+) \[", _latex_block(block)) == ["100.0", "50.0", "70.0", "50.0"]
