"""Tables in LaTeX, for the package booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from bnnbench.evidence.marks import MARKS
from bnnbench.evidence.results import Results
from bnnbench.report.legend import IN_WORDS, legend
from bnnbench.report.measure_tables import Grid
from bnnbench.report.metric_tables import all_grids
from bnnbench.report.tables import Block, blocks


def to_latex(results: Results) -> str:
    """The LaTeX source of a table for each data set and network, and of one for each of their metrics and measures."""
    return "\n".join([*map(_latex_block, blocks(results)), *map(_latex_grid, all_grids(results))])


def _latex_block(block: Block) -> str:
    head = ["posterior", r"$\varepsilon$", *map(_latex, block.columns)]
    rows = [
        [_latex(line.posterior), _latex(line.threat), *(_latex(figure.in_a_line) for figure in line.figures)]
        for line in block.lines
    ]
    sentences = [*(f"{term}: {meaning}" for term, meaning in legend(block, IN_WORDS)), *block.notes]
    attacker = _latex(block.attacker).replace("radius eps", r"radius $\varepsilon$")  # As the column is called.
    caption = f"{_latex(block.title)}. {attacker}"
    return _table(f"lr{'r' * len(block.columns)}", head, rows, caption + _sentences(sentences))


def _latex_grid(grid: Grid) -> str:
    sentences = [*(f"{mark} {MARKS[mark]}" for mark in grid.marks), *grid.notes]
    rows = [[*map(_latex, line)] for line in grid.lines]
    columns = f"l{'r' * (len(grid.columns) - 1)}"
    return _table(columns, [*map(_latex, grid.columns)], rows, f"{_latex(grid.title)}.{_sentences(sentences)}")


def _sentences(texts: Sequence[str]) -> str:
    """Texts as sentences of a caption, each after a space."""
    return "".join(f" {_latex(text)}." for text in texts)


def _table(columns: str, head: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """The LaTeX source of a table; `columns` are the letters of its alignment, and all texts are escaped."""
    first, *body = [" & ".join(row) + r" \\" for row in (head, *rows)]
    return "\n".join(
        [
            r"\begin{table} % \usepackage{booktabs}",
            r"\centering",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            first,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{caption}}}",
            r"\end{table}",
            "",
        ]
    )


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    char: "\\" + char for char in "&%$#_{}"
}


def _latex(text: str) -> str:
    """A text with the special characters of LaTeX escaped."""
    return "".join(_LATEX.get(char, char) for char in text)
