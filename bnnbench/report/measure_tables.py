"""Tables of measures, and of certificates about posteriors: one for each data set, network and component."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bnnbench.core.threat import Threat
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.lines import has_line
from bnnbench.evidence.marks import short_mark
from bnnbench.evidence.results import Results
from bnnbench.evidence.threat_names import threat_names
from bnnbench.measurements.measure import FIT_SECONDS
from bnnbench.report.measure_notes import compared_with, fit_seconds, remarks
from bnnbench.report.words import absences, norm_and_goal, posterior_notes


@dataclass(frozen=True)
class Grid:
    """A table of texts: title, column heads, the texts of each line, the marks that it uses, and notes.

    The first `heads` columns name a line: its posterior, its threat if it has one, and its seed if there are several.
    A text may end with an interval, ` [low, high]`.
    """

    title: str
    heads: int
    columns: list[str]
    lines: list[list[str]]
    marks: list[str]
    notes: list[str] = field(default_factory=list)


def grids(results: Results) -> list[Grid]:
    """The tables of all measures and certificates about posteriors, in the order of the file.

    A table has a line for each posterior, threat and seed. Those of skipped cells are left out, but for one line of
    each posterior that has no other.
    """
    groups: dict[tuple[str, str, str, str], list[Cell]] = {}
    tabled = set()
    for cell in results.cells:
        place = (cell.spec.dataset, cell.spec.network)
        if has_line(cell):
            tabled.add(place)
        else:
            groups.setdefault((*place, cell.spec.kind, cell.spec.label), []).append(cell)
    # The table of attacks and certificates has the warnings about posteriors already.
    return [_grid(cells, warn=place[:2] not in tabled) for place, cells in groups.items()]


def _grid(cells: Sequence[Cell], *, warn: bool = False) -> Grid:
    """The table of the cells of one data set, network and component, with warnings about posteriors if `warn`."""
    several, shown = len({cell.spec.seed for cell in cells}) > 1, _shown(cells)
    threats = threat_names([cell for cell in shown if cell.spec.threat and not _is_skipped(cell)])
    heads = ["posterior", *(["eps"] if cells[0].spec.threat else []), *(["seed"] if several else [])]
    figures = _columns(cells)
    lines = []
    for cell in shown:
        threat = "" if cell.spec.threat is None else threats.get(cell.spec.threat, "")
        own = {"eps": threat, "seed": str(cell.spec.seed)}
        place = ["all" if _is_skipped(cell) else own[head] for head in heads[1:]]
        texts = [_text(cell, names) for names in figures.values()]
        lines.append(
            [f"{cell.spec.posterior}{short_mark([cell])}", *place, *(texts if cell.ok else _absent(cell, len(texts)))]
        )
    marks = [*short_mark(shown)]
    columns = [*heads, *figures]
    notes = [*compared_with(cells), *remarks(cells), *absences(cells), *(posterior_notes(cells) if warn else [])]
    return Grid(_title(cells[0], [*threats]), len(heads), columns, lines, marks, notes)


def _columns(cells: Sequence[Cell]) -> Mapping[str, tuple[str, ...]]:
    """The columns of figures by head: those that the component declares and that have values, or one a figure."""
    declared: Mapping[str, tuple[str, ...]] = getattr(cells[0].spec.component, "columns", {})
    if not declared:
        names = dict.fromkeys(name for cell in cells for name in cell.figures)
        return {name.replace("_", " "): (name,) for name in names}
    known = [cell for cell in cells if cell.ok]
    with_values = {
        head: names
        for head, names in declared.items()
        if names[0] == FIT_SECONDS or any(cell.figures.get(names[0]) is not None for cell in known)
    }
    return with_values if known else declared


def _text(cell: Cell, names: Sequence[str]) -> str:
    """A figure of a cell as text, with its interval if it has one."""
    figures = {**cell.figures, FIT_SECONDS: fit_seconds(cell)} if FIT_SECONDS in names else cell.figures
    value, *ends = (figures.get(name) for name in names)
    return f"{figure_text(value)} {interval_text(*ends)}" if ends and None not in ends else figure_text(value)


def _absent(cell: Cell, figures: int) -> list[str]:
    """The texts of so many figures of a cell without a result: its status, then dashes."""
    return [cell.status, *["-"] * (figures - 1)]


def _shown(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that have lines: those that are not skipped, and the first of each posterior that has no other."""
    told = {cell.spec.posterior for cell in cells if not _is_skipped(cell)}
    shown = []
    for cell in cells:
        if not _is_skipped(cell) or cell.spec.posterior not in told:
            told.add(cell.spec.posterior)
            shown.append(cell)
    return shown


def _is_skipped(cell: Cell) -> bool:
    """Whether the components of a cell do not fit together, or its fit failed."""
    return cell.status == "skipped"


def _title(cell: Cell, threats: Sequence[Threat]) -> str:
    """The title of the table of a cell: data set, network, component, and what the threats of its lines share."""
    title = f"{cell.spec.dataset} / {cell.spec.network}: {cell.spec.label}"
    shared = "; ".join(filter(None, norm_and_goal(threats)))
    return f"{title}, {shared}" if shared else title


def figure_text(value: Any) -> str:
    """A figure as text: floats with four significant digits, zeros at the end included; `-` for None."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int | str) else f"{value:#.4g}".removesuffix(".")


def interval_text(low: Any, high: Any) -> str:
    """An interval as text, such as `[0.93, 0.97]`, with so many decimals that its width has two digits."""
    decimals = max(0, 1 - math.floor(math.log10(high - low))) if high > low else 3
    return f"[{low:.{decimals}f}, {high:.{decimals}f}]"
