"""Columns of texts on terminals: nothing is cut, whatever the width."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnnbench.report.sheets import Column, drawn, folded, needed, panels

NAMES = [f"nuts@max_tree_depth={depth},prior_scale={scale}~" for depth in (5, 6) for scale in (0.3, 1.0)]
HEADS = ["images", "mutual information", "pgd@objective=expected-loss", "a" * 64, "calibration error"]
NUMBERS = [["60", "1.234e-05", "0.6789", "0.4321", "-"]] * len(NAMES)


def table(names: list[str], others: list[list[str]]) -> tuple[list[Column], list[Column]]:
    """The columns that name the rows, and those of the figures with folded heads."""
    leading = [Column(["posterior"], [[name] for name in names], left=True)]
    leading += [Column(["seed"], [[text] for text in texts]) for texts in others]
    figures = [Column([head], [[row[place]] for row in NUMBERS]) for place, head in enumerate(HEADS)]
    return leading, [column.with_folded_head() for column in figures]


@pytest.mark.parametrize("width", [40, 41, 60, 80, 160, 400])
@pytest.mark.parametrize("others", [[], [["0", "1", "2", "3"]], [["0.1 linf scores", "0.1 l2 gradient", "0", "1"]]])
def test_every_panel_fits_and_cuts_nothing(width: int, others: list[list[str]]) -> None:
    leading, figures = table(NAMES, others)
    made = panels(leading, figures, width)
    for panel in made:
        assert needed(panel, 1) <= width
        names = ["".join(cell) for cell in panel[0].cells]
        assert names == NAMES
        assert len({tuple(cell) for cell in panel[0].cells}) == len(NAMES)
    shown = [column for panel in made for column in panel[len(leading) :]]
    assert ["".join(column.head).replace(" ", "") for column in shown] == [head.replace(" ", "") for head in HEADS]
    assert [[cell[0] for cell in column.cells] for column in shown] == [
        list(column) for column in zip(*NUMBERS, strict=True)
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_terminal_shows_all_of_it(width: int) -> None:
    import io

    from rich.console import Console

    leading, figures = table(NAMES, [["0", "1", "0", "1"]])
    buffer = io.StringIO()
    for panel in panels(leading, figures, width):
        Console(file=buffer, width=width).print(drawn(panel, width))
    text = buffer.getvalue()
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    for number in chain(*NUMBERS):
        assert text.count(number) >= len(NAMES)


@given(st.text("ab @,=-", min_size=1, max_size=60), st.integers(1, 30))
def test_a_folded_text_is_the_text(text: str, width: int) -> None:
    lines = folded(text, width)
    assert max(map(len, lines)) <= width
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_texts_are_broken_between_words_where_that_is_possible() -> None:
    assert folded("pgd@objective=expected-loss", 14) == ["pgd@objective=", "expected-loss"]
    assert folded("clean accuracy", 8) == ["clean", "accuracy"]
    assert folded("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert folded("abc", 9) == ["abc"]
    (column,) = [Column(["a very long figure name indeed"], [["1.234e-05"]]).with_folded_head()]
    assert len(column.head) == 3
