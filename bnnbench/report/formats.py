"""Reports for machines and papers: none of them passes through rich, so no digit is ever dropped."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from bnnbench.matrix.results import Results
from bnnbench.report.summary import MARKS, Block, Figure, blocks


def to_json(results: Results) -> str:
    """A list of objects, one a cell asked for, floats in full: the same bytes for the same store."""
    return json.dumps(results.rows(), indent=1, allow_nan=False) + "\n"


def to_csv(results: Results) -> str:
    """The same rows as comma-separated values; no text can be taken for a formula."""
    rows = [{name: _csv_value(value) for name, value in row.items()} for row in results.rows()]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def to_markdown(results: Results) -> str:
    """A table for each data set and network."""
    return "\n".join(_markdown_block(block) for block in blocks(results))


def to_latex(results: Results) -> str:
    """The same as LaTeX; needs the package booktabs."""
    return "\n".join(_latex_block(block) for block in blocks(results))


FORMATS: dict[str, Callable[[Results], str]] = {
    "csv": to_csv,
    "json": to_json,
    "markdown": to_markdown,
    "latex": to_latex,
}
"""Every format but the table, which depends on the terminal."""


def _csv_value(value: Any) -> Any:
    if isinstance(value, list):
        value = "; ".join(str(item) for item in value)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def _markdown_block(block: Block) -> str:
    head = ["posterior", "eps", *map(_name, block.columns)]
    lines = [f"**{_name(block.title)}**", "", f"{_name(block.attacker)}.", ""]
    lines += [_markdown_row(head), _markdown_row(["---", *["---:"] * (len(head) - 1)])]
    for line in block.lines:
        figures = (_one_line(figure).replace("~", "\\~") for figure in line.figures)
        lines.append(_markdown_row([_name(line.posterior), line.threat, *figures]))
    lines.append("")
    lines += [f"- `{mark}` {MARKS[mark]}" for mark in block.marks]
    lines += [f"- {_escaped(note, '|<>*_`[]')}" for note in block.notes]
    return "\n".join(lines) + "\n"


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _name(text: str) -> str:
    """A text with names in it. Underscores stay as they are: inside of a word they mean nothing."""
    return _escaped(text, "\\|<>&*~`[]")


def _one_line(figure: Figure) -> str:
    if figure.text:
        return figure.number
    seeds = f" ({figure.range})" if figure.range else ""
    return f"{figure.number} [{figure.interval.replace('-', ', ')}]{seeds}"


def _latex_block(block: Block) -> str:
    columns = "lr" + "r" * len(block.columns)
    rows = [["posterior", r"$\varepsilon$", *block.columns]]
    rows += [[line.posterior, line.threat, *(_one_line(figure) for figure in line.figures)] for line in block.lines]
    head, *body = [" & ".join([_latex(row[0]), row[1], *(_latex(cell) for cell in row[2:])]) + r" \\" for row in rows]
    told = [*(f"{mark} {MARKS[mark]}" for mark in block.marks), *block.notes]
    notes = "".join(f" {_latex(one)}." for one in told)
    return "\n".join(
        [
            r"\begin{table} % \usepackage{booktabs}",
            r"\centering",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{_latex(block.title)}. {_latex(block.attacker)}. 95\% Wilson intervals in brackets.{notes}}}",
            r"\end{table}",
            "",
        ]
    )


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    char: "\\" + char for char in "&%$#_{}"
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in text)


def _escaped(text: str, special: str) -> str:
    return "".join("\\" + char if char in special else char for char in text)
