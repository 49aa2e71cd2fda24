"""Tables of metrics: one for each data set, network and metric, with a line for each posterior and threat."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bnnbench.core.attack import Attack
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.lines import Group, groups
from bnnbench.evidence.marks import MARKS, marks_of, short_mark
from bnnbench.evidence.metric_rows import metric_numbers
from bnnbench.evidence.results import Results
from bnnbench.evidence.threat_names import threat_names
from bnnbench.matrix.settings import FIRST_COLUMN
from bnnbench.measurements.findings import OF_ATTACK, OF_PREDICTIVE
from bnnbench.measurements.metric import Metric, field_names, is_of_sides
from bnnbench.report.measure_tables import Grid, figure_text, grids

Numbers = dict[int, dict[str, dict[str, float | None]]]
"""The numbers of each metric by field, for each cell by its `id`."""


def all_grids(results: Results) -> list[Grid]:
    """The tables below those of attacks: of metrics, then of measures. Raises as `metric_grids` does."""
    return [*metric_grids(results), *grids(results)]


def metric_grids(results: Results) -> list[Grid]:
    """The tables of the metrics of results, in the order of the file; none if no metric was asked for.

    Raises `ContractBreach` if a metric fails.
    """
    if not results.metrics:
        return []
    found = [group for group in groups(results.cells) if group.attacks]
    cells = [cell for group in found for line in group.lines for cell in line.cells]
    numbers = {id(cell): metric_numbers(cell, results.metrics) for cell in cells}
    return [_grid(group, name, metric, numbers) for group in found for name, metric in results.metrics.items()]


def _grid(group: Group, name: str, metric: Metric, numbers: Numbers) -> Grid:
    """The table of one metric: its number at clean images, if it has one, and under each attack; means over seeds."""
    fields, sides = field_names(name, metric), is_of_sides(metric)
    clean, attacked = fields.get("clean", ""), fields["attacked" if sides else ""]
    names = threat_names([cell for line in group.lines for cell in line.cells])

    def figure(cells: Sequence[Cell], field: str, among: str) -> tuple[str, str]:
        return _mean([(cell, numbers[id(cell)][name][field]) for cell in cells], among, group.seeds)

    lines, used, stopping = [], "", dict.fromkeys(group.attacks, False)
    for line in filter(lambda line: line.cells, group.lines):  # Others have certificates alone.
        short = short_mark(line.cells)
        known = {cell.spec.seed: cell for cell in line.cells if cell.ok}
        figures = [figure([*known.values()], clean, OF_PREDICTIVE)] if sides else []
        for label in group.attacks:
            cells = [cell for cell in line.cells if cell.spec.label == label]
            figures.append(figure(cells, attacked, OF_ATTACK if sides else OF_PREDICTIVE + OF_ATTACK))
            stopping[label] |= any(
                cell.ok and _stops_early(cell) and numbers[id(cell)][name][attacked] is None for cell in cells
            )
        lines.append([line.posterior + short, names[line.threat], *(text + marks for text, marks in figures)])
        used += short + "".join(marks for _, marks in figures)
    seeds = f", mean over {len(group.seeds)} seeds" if len(group.seeds) > 1 else ""
    columns = ["posterior", "eps", *([FIRST_COLUMN] if sides else []), *group.attacks]
    title = f"{group.dataset} / {group.network}: {name}{seeds}"
    stopped = [label for label, stops in stopping.items() if stops]
    notes = [f"-: the attack leaves an image alone once it is broken ({', '.join(stopped)})"] if stopped else []
    return Grid(title, 2, columns, lines, [mark for mark in MARKS if mark in used], notes)


def _stops_early(cell: Cell) -> bool:
    """Whether the attack of a cell leaves an image alone once its goal is reached."""
    return isinstance(cell.spec.component, Attack) and cell.spec.component.stops_early


def _mean(found: Sequence[tuple[Cell, float | None]], among: str, seeds: Collection[int]) -> tuple[str, str]:
    """The mean over seeds of the numbers of these cells as text, and its marks (`marks_of`).

    The status of the first cell without an outcome, if there is one.
    """
    if missing := [cell for cell, _ in found if not cell.ok]:
        return missing[0].status, ""
    values = [value for _, value in found if value is not None]
    if not values:
        return "-", ""
    marks = marks_of([cell for cell, value in found if value is not None], among, seeds)
    return figure_text(sum(values) / len(values)), marks
