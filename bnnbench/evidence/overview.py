"""An overview of results for consoles and notebooks: a small table for each data set and network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape

from bnnbench.errors import clean
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.lines import KINDS, Group, Line, groups
from bnnbench.evidence.marks import MARKS, marks_of, short_mark
from bnnbench.evidence.threat_names import goal_notes, whole_names
from bnnbench.evidence.worst_case import Combined
from bnnbench.matrix.settings import CERTIFIED_COLUMN, FIRST_COLUMN, LAST_COLUMN
from bnnbench.measurements import findings

MOST_LINES = 60
"""The largest number of lines of a table that are shown."""


@dataclass(frozen=True)
class Table:
    """A table of texts: title, column heads, the texts of each line, and notes below it."""

    title: str
    heads: list[str]
    lines: list[list[str]]
    notes: list[str]


def as_text(where: str, cells: Sequence[Cell]) -> str:
    """The overview of cells as lines of text; `where` says where they are from."""
    parts = [_summary(where, cells)]
    for table in _tables(cells):
        rows = [table.heads, *table.lines]
        widths = [max(len(row[place]) for row in rows) for place in range(len(table.heads))]
        texts = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        parts += [table.title, *texts, *table.notes]
    return "\n".join(parts)


def as_html(where: str, cells: Sequence[Cell]) -> str:
    """The overview of cells as HTML."""
    parts = [f"<p>{escape(_summary(where, cells))}</p>"]
    for table in _tables(cells):
        head = "".join(f"<th>{escape(text)}</th>" for text in table.heads)
        body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in line) + "</tr>" for line in table.lines)
        parts.append(f"<table><caption>{escape(table.title)}</caption><tr>{head}</tr>{body}</table>")
        parts += [f"<p>{escape(note)}</p>" for note in table.notes]
    return "".join(parts)


def _summary(where: str, cells: Sequence[Cell]) -> str:
    """The number of cells with each status, and of those that are in no table."""
    statuses = Counter(cell.status for cell in cells)
    counts = ", ".join(f"{number} {status}" for status, number in statuses.items())
    others = Counter(cell.spec.kind for cell in cells if cell.spec.kind not in KINDS)
    measures = "".join(f"; {number} of them of the kind {kind}, which frame() has" for kind, number in others.items())
    return clean(f"Results({where}: {len(cells)} cells: {counts}{measures})")


def _tables(cells: Sequence[Cell]) -> list[Table]:
    """A table for each data set and network, with a line for each posterior and threat."""
    return [_table(group) for group in groups(cells)]


def _table(group: Group) -> Table:
    cells = [cell for line in group.lines for cell in line.all]
    names, goals, combined = whole_names(cells), goal_notes(cells), [*group.combined(group.lines[0])]
    about = "images that withstood in %" if goals else "robust accuracy in %" if group.attacks else "accuracy in %"
    title = clean(f"{group.dataset} / {group.network}: {about}, and {_WORDS[tuple(combined)]}")
    heads = [clean(text) for text in ("posterior", "radius", FIRST_COLUMN, *group.attacks, *combined)]
    lines = [[clean(text) for text in _texts(group, line, names[line.threat])] for line in group.lines[:MOST_LINES]]
    left = len(group.lines) - MOST_LINES
    used = {mark for cell in cells for mark in cell.marks}
    used |= {*short_mark(cells)}
    used |= {"+" for line in lines for text in line[_NAMES:] if "+" in text}
    notes = [f"... and {left} lines more"] if left > 0 else []
    notes += map(clean, goals)
    return Table(title, heads, lines, notes + [f"{mark}  {meaning}" for mark, meaning in MARKS.items() if mark in used])


_NAMES = 2
"""The number of columns that name a line: its posterior and its threat."""
_WORDS = {
    (LAST_COLUMN,): "the worst case with its 95% interval",
    (CERTIFIED_COLUMN, LAST_COLUMN): "what is certified and the worst case with their 95% intervals",
    (CERTIFIED_COLUMN,): "what is certified with its 95% interval",
}
"""What the last columns of a table hold, in words."""


def _texts(group: Group, line: Line, threat: str) -> list[str]:
    """The texts of a line: posterior, threat, clean accuracy, robust accuracies, what is certified, worst case."""
    mark = short_mark(line.all)
    by_attack = [[cell for cell in line.cells if cell.spec.label == attack] for attack in group.attacks]
    return [
        line.posterior + mark,
        threat,
        _mean("clean_accuracy", list(line.clean.values()), findings.OF_PREDICTIVE, group.seeds),
        *(_mean("robust_accuracy", cells, findings.OF_ATTACK, group.seeds) for cells in by_attack),
        *map(_combined, group.combined(line).values()),
    ]


def _combined(combined: Combined) -> str:
    """The accuracy of several cells of a line in percent, with its interval; `-` without a result."""
    found = combined.accuracy
    if found is None:
        return "-"
    partial = "+" * combined.partial
    return f"{100 * found.mean:.1f}{partial} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _mean(figure: str, cells: Sequence[Cell], among: str, seeds: Collection[int]) -> str:
    """The mean of a figure over seeds in percent, with the marks among these, and `+` if it lacks one of the seeds.

    The status of the first cell that has no result, if there is one.
    """
    failed = next((cell.status for cell in cells if not cell.ok), None)
    if failed or not cells:
        return failed or "-"
    mean = sum(cell.figures[figure] for cell in cells) / len(cells)
    return f"{100 * mean:.1f}{marks_of(cells, among, seeds)}"
