"""Tables of metrics: one for each data set, network and metric, with a line for each posterior and threat."""

from __future__ import annotations

from collections.abc import Sequence

from bnnbench.evidence.cell import Cell
from bnnbench.evidence.lines import Group, groups
from bnnbench.evidence.metric_rows import metric_numbers
from bnnbench.evidence.results import Results
from bnnbench.matrix.settings import FIRST_COLUMN
from bnnbench.measurements.metric import Metric, field_names, is_of_sides
from bnnbench.report.measure_tables import Grid, figure_text, grids
from bnnbench.report.words import threat_names

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
    fields, names = field_names(name, metric), threat_names([cell for line in group.lines for cell in line.cells])
    columns = ["posterior", "eps", *([FIRST_COLUMN] if is_of_sides(metric) else []), *group.attacks]
    lines, short = [], False
    for line in group.lines:
        marked = any(cell.card == "short" for cell in line.cells)
        clean = {cell.spec.seed: cell for cell in line.cells if cell.ok}
        texts = [_mean(list(clean.values()), name, fields["clean"], numbers)] if is_of_sides(metric) else []
        for label in group.attacks:
            cells = [cell for cell in line.cells if cell.spec.label == label]
            texts.append(_mean(cells, name, fields["attacked" if is_of_sides(metric) else ""], numbers))
        lines.append([line.posterior + "~" * marked, names[line.threat], *texts])
        short |= marked
    seeds = f", mean over {len(group.seeds)} seeds" if len(group.seeds) > 1 else ""
    return Grid(f"{group.dataset} / {group.network}: {name}{seeds}", 2, columns, lines, ["~"] * short)


def _mean(cells: Sequence[Cell], name: str, field: str, numbers: Numbers) -> str:
    """The mean of a field over seeds as text; the status of the first cell without an outcome if there is one."""
    if missing := [cell for cell in cells if not cell.ok]:
        return missing[0].status
    values = [value for cell in cells if (value := numbers[id(cell)][name][field]) is not None]
    return figure_text(sum(values) / len(values)) if values else "-"
