"""Tables on a terminal: they wrap and drop no digit."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
from outcomes import block_of, cell, outcome

from bnnbench.evidence.marks import MARKS
from bnnbench.report import tables
from bnnbench.report.latex import _latex_block
from bnnbench.report.markdown import _markdown_block
from bnnbench.report.measure_tables import Grid
from bnnbench.report.terminal import render, render_grids


def test_many_columns_wrap_into_panels_and_keep_every_figure() -> None:
    from rich.console import Console

    attacks = [f"attack-number-{number}" for number in range(9)]
    cells = [cell(name, 0, outcome("1" * (10 - number) + "0" * number)) for number, name in enumerate(attacks)]
    block = block_of("moons", "fc", cells)
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
    block = block_of("moons", "fc", cells)
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
    block = block_of("moons", "fc", cells)
    for width in (40, 120):
        buffer = io.StringIO()
        for part in render([block], width):
            Console(file=buffer, width=width).print(part)
        found = re.findall(r"\d+\.\d", re.sub(r"\d+\.\d-\d+\.\d", "", buffer.getvalue()))
        assert [number for number in found if number != "0.1"] == ["100.0", "50.0", "70.0", "50.0"], width
    assert re.findall(r"([\d.]+) \[", _markdown_block(block)) == ["100.0", "50.0", "70.0", "50.0"]
    assert re.findall(r"([\d.]+) \[", _latex_block(block)) == ["100.0", "50.0", "70.0", "50.0"]


def shown(block: tables.Block, width: int) -> list[str]:
    """The lines of a table on a terminal of so many columns."""
    from rich.console import Console

    buffer = io.StringIO()
    for part in render([block], width):
        Console(file=buffer, width=width).print(part)
    return [line.rstrip() for line in buffer.getvalue().splitlines()]


def test_a_wide_terminal_has_intervals_beside_their_accuracies() -> None:
    names = ["random", "fgsm", "pgd", "margin"]
    block = block_of("moons", "fc", [cell(name, 0, outcome("1111111100")) for name in names])
    beside = "80.0 49.0-94.3"
    for width, lines in ((80, 2), (120, 1), (140, 1)):
        text = shown(block, width)
        assert any(beside in line for line in text) == (width >= 120)
        assert sum(bool(re.search(r"\d\d\.\d-\d", line)) for line in text) == 1, text
        row = next(number for number, line in enumerate(text) if line.startswith("sgd"))
        assert "49.0-94.3" in text[row + lines - 1]


def test_a_legend_says_what_the_table_uses_and_nothing_else() -> None:
    one = block_of("moons", "fc", [cell("a", 0, outcome("1111111100"))])
    text = "\n".join(shown(one, 140))
    assert re.search(r"^ worst     images right as they are and under every attack of the row", text, re.M)
    assert re.search(r"^ low-high  95% Wilson interval of the accuracy, for 10 images$", text, re.M)
    for absent in ("line ", "low..high", "seeds", "~ ", "+ ", " -  "):
        assert absent not in text, absent
    cells = [cell(name, seed, outcome("1111111100"), card="short") for name in ("a", "b", "c", "d") for seed in (0, 1)]
    cells += [cell("e", 0, None, status="failed")]
    many = shown(block_of("moons", "fc", cells), 60)
    terms = ["worst", "second line", "third line", "~", "+"]
    assert [sum(line.startswith(f" {term:11}  ") for line in many) for term in terms] == [1] * 5
    assert max(map(len, many)) <= 60


def test_meanings_and_notes_are_indented_where_they_wrap() -> None:
    cells = [cell("a", 0, outcome("1111111100"), card="short"), cell("b", 0, None, status="failed")]
    text = shown(block_of("moons", "fc", cells), 50)
    start = next(number for number, line in enumerate(text) if line.startswith(" ~"))
    assert text[start + 1].startswith(" " * len(" second line  ".replace("second line", "low-high")))


def test_numbers_stand_below_each_other_with_their_marks_beside() -> None:
    cells = [cell("a", 0, outcome("1111111100", zero=True)), cell("a", 0, outcome("0000000000"))]
    import dataclasses

    import bnnbench as bb

    other = dataclasses.replace(cells[1].spec, threat=bb.Threat(epsilon=0.2))
    block = block_of("moons", "fc", [cells[0], dataclasses.replace(cells[1], spec=other)])
    rows = [line for line in shown(block, 120) if re.search(r"0\.[12] ", line)]
    assert rows[0].index("80.0#") == rows[1].index(" 0.0 ")


FIGURES = ["images", "clean accuracy", "calibration error", "mutual information"]


def shown_grid(width: int, posteriors: list[str], marks: list[str]) -> str:
    """A table of a measure on a terminal of so many columns."""
    from rich.console import Console

    rows = [[name, str(seed), "60", "0.7833", "0.03863", "9.934e-09"] for name in posteriors for seed in (0, 1)]
    grid = Grid("moons / fc: predictions", 2, ["posterior", "seed", *FIGURES], rows, marks)
    buffer = io.StringIO()
    for part in render_grids([grid], width):
        Console(file=buffer, width=width).print(part)
    return buffer.getvalue()


def test_tables_of_measures_drop_no_digit_and_no_name() -> None:
    """Labels of swept posteriors differ at their ends: where they were cut, they looked alike."""
    posteriors = [f"nuts@max_tree_depth=5,prior_scale={scale},warmup=1000" for scale in (0.3, 1.0)]
    for width in (40, 60, 80, 160):
        text = shown_grid(width, posteriors, ["~"])
        assert "…" not in text
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width
        for number in ("60", "0.7833", "0.03863", "9.934e-09"):
            assert len(re.findall(rf"(?<!\S){number}(?!\S)", text)) == 4, (width, number)
        for end in ("0.3", "1.0"):
            assert re.search(rf"(?<!\S)(\S*=)?{end}(,warmup=(1000)?)?(?!\S)", text), (width, end)


def test_a_table_of_a_measure_that_fits_is_one_panel() -> None:
    assert "continued" in shown_grid(40, ["sgd"], [])
    text = shown_grid(80, ["sgd"], [])
    assert "continued" not in text
    assert re.search("posterior +seed +images +clean accuracy +calibration error +mutual information", text)


def test_a_legend_has_a_line_for_each_symbol() -> None:
    """At 80 columns: a legend of several lines for each would be longer than many tables."""
    found = replace(outcome("1111100000", zero=True), label=np.array([0] * 6 + [1] * 4), like_probabilities=True)
    found = replace(found, zero_gradient=np.ones(10, bool), distance=np.zeros(10))
    cells = [cell(name, seed, found, card="short") for name in "abcdef" for seed in (0, 1)]
    cells += [cell("g", 0, None, status="failed")]
    block = block_of("moons", "fc", cells)
    assert set(block.marks) == {*MARKS}
    text = shown(block, 80)
    start = next(place for place, line in enumerate(text) if line.startswith(" worst "))
    terms = [line[:13].strip() for line in text[start:]]
    assert terms[: 3 + len(MARKS)] == ["worst", "second line", "third line", *MARKS]
