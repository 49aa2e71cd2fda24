"""Tables of measures, and of certificates about posteriors: one for each data set, network and component."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bnnbench.evidence.cell import Cell
from bnnbench.evidence.lines import has_line
from bnnbench.evidence.marks import MARKS
from bnnbench.evidence.results import Results
from bnnbench.report.words import posterior_notes


@dataclass(frozen=True)
class Grid:
    """A table of texts: title, column heads, the texts of each line, the marks that it uses, and notes.

    The first `heads` columns name a line: its posterior, and its seed where there are several.
    """

    title: str
    heads: int
    columns: list[str]
    lines: list[list[str]]
    marks: list[str]
    notes: list[str] = field(default_factory=list)


def grids(results: Results) -> list[Grid]:
    """The tables of all measures and certificates about posteriors, in the order of the file.

    A table has a line for each posterior, radius and seed.
    """
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    tabled = set()
    for cell in results.cells:
        place = (cell.spec.dataset, cell.spec.network)
        if has_line(cell):
            tabled.add(place)
        else:
            groups.setdefault((*place, cell.spec.label), []).append(cell)
    # The table of attacks and certificates has the warnings about posteriors already.
    return [_grid(*labels, cells, warn=labels[:2] not in tabled) for labels, cells in groups.items()]


def _grid(dataset: str, network: str, label: str, cells: Sequence[Cell], *, warn: bool = False) -> Grid:
    """The table of the cells of one data set, network and measure, with warnings about posteriors if `warn`."""
    several = len({cell.spec.seed for cell in cells}) > 1
    radii = any(cell.spec.threat for cell in cells)
    names = list(dict.fromkeys(name for cell in cells for name in cell.figures))
    lines = []
    for cell in cells:
        mark = "~" if cell.card == "short" else ""
        head = [f"{cell.spec.posterior}{mark}", *([cell.spec.epsilon_text] if radii else [])]
        head += [str(cell.spec.seed)] if several else []
        texts = [figure_text(cell.figures.get(name)) for name in names]
        lines.append([*head, *(texts if cell.ok else [cell.status, *["-"] * (len(names) - 1)])])
    used = "~" if any(cell.card == "short" for cell in cells) else ""
    notes = dict.fromkeys(f"{cell.spec.posterior}: {cell.status}: {cell.reason}" for cell in cells if not cell.ok)
    warnings = posterior_notes(cells) if warn else []
    heads = ["posterior", *(["eps"] if radii else []), *(["seed"] if several else [])]
    columns = [*heads, *(name.replace("_", " ") for name in names)]
    marks = [mark for mark in MARKS if mark in used]
    return Grid(f"{dataset} / {network}: {label}", len(heads), columns, lines, marks, [*notes, *warnings])


def figure_text(value: Any) -> str:
    """A figure as text: floats with four significant digits, zeros at the end included; `-` for None."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int | str) else f"{value:#.4g}".removesuffix(".")
