"""Tables of attacks as numbers: one for each data set and network, with a line for each posterior and threat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bnnbench.core.threat import Threat
from bnnbench.evidence.results import Cell, Results
from bnnbench.evidence.worst_case import worst_case
from bnnbench.matrix.settings import FIRST_COLUMN, LAST_COLUMN
from bnnbench.report.marks import MARKS
from bnnbench.report.words import attacker, notes, threat_names, threat_of
from bnnbench.statistics.intervals import wilson

ATTACK = "attack"
"""The kind of cells that these tables show."""


@dataclass(frozen=True)
class Figure:
    """An accuracy over n images: its mean over seeds, its 95% Wilson interval at n, and its value for each seed.

    `mean`, `low`, `high` and `seeds` are in [0, 1]. If there is no accuracy, `text` is shown in its place.
    """

    mean: float = 0.0
    low: float = 0.0
    high: float = 0.0
    images: int = 0
    seeds: tuple[float, ...] = ()
    marks: str = ""
    text: str = ""

    @property
    def number(self) -> str:
        """The mean in percent, with two decimals above 1000 images and otherwise one, or the text; then the marks."""
        return (self.text or self._percent(self.mean)) + self.marks

    @property
    def interval(self) -> str:
        """The interval in percent, such as `96.1-98.8`; empty if there is no accuracy."""
        return "" if self.text else f"{self._percent(self.low)}-{self._percent(self.high)}"

    @property
    def range(self) -> str:
        """The smallest and largest accuracy over seeds in percent, such as `95.2..97.0`; empty for one seed."""
        if len(self.seeds) < 2:
            return ""
        return f"{self._percent(min(self.seeds))}..{self._percent(max(self.seeds))}"

    @property
    def in_a_line(self) -> str:
        """The number, interval and range on one line, such as `97.5 [96.1, 98.8]`; or the text."""
        if self.text:
            return self.number
        seeds = f" ({self.range})" if self.range else ""
        return f"{self.number} [{self.interval.replace('-', ', ')}]{seeds}"

    def _percent(self, share: float) -> str:
        return f"{100 * share:.{2 if self.images > 1000 else 1}f}"


@dataclass(frozen=True)
class Line:
    """One posterior under one threat: its name with marks, the threat's name, and a figure for each column."""

    posterior: str
    threat: str
    figures: list[Figure]


@dataclass(frozen=True)
class Block:
    """The table of one data set and network. Its columns are clean, each attack, and the worst case."""

    dataset: str
    network: str
    images: int
    seeds: int
    attacker: str
    """The threat that all lines share, in words."""
    columns: list[str]
    lines: list[Line]
    marks: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The title: data set, network, and the number of images and seeds."""
        seeds = f", mean over {self.seeds} seeds, interval, range over seeds" if self.seeds > 1 else ""
        return f"{self.dataset} / {self.network}: accuracy in %, {self.images} test images{seeds}"


def blocks(results: Results) -> list[Block]:
    """The tables of all attacks, in the order of the file."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in results.cells:
        if cell.spec.kind == ATTACK:
            groups.setdefault((cell.spec.dataset, cell.spec.network), []).append(cell)
    return [_block(dataset, network, cells) for (dataset, network), cells in groups.items()]


def _block(dataset: str, network: str, cells: Sequence[Cell]) -> Block:
    """The table of the attack cells of one data set and network."""
    attacks = list(dict.fromkeys(cell.spec.label for cell in cells))
    seeds = {cell.spec.seed for cell in cells}
    rows: dict[tuple[str, Threat], list[Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.spec.posterior, threat_of(cell)), []).append(cell)
    names = threat_names([threat for _, threat in rows])
    lines = []
    for (posterior, threat), row in rows.items():
        mark = "~" if any(cell.card == "short" for cell in row) else ""
        figures = [_clean(row, seeds)]
        figures += [_attacked([cell for cell in row if cell.spec.label == attack], seeds) for attack in attacks]
        figures.append(_worst(row, len(attacks), seeds))
        lines.append(Line(posterior + mark, names[threat], figures))
    used = "".join(line.posterior[-1] for line in lines) + "".join(f.marks for line in lines for f in line.figures)
    images = max((_images(cell) for cell in cells if cell.ok), default=0)
    return Block(
        dataset,
        network,
        images,
        len(seeds),
        attacker(cells),
        [FIRST_COLUMN, *attacks, LAST_COLUMN],
        lines,
        [mark for mark in MARKS if mark in used],
        notes(cells),
    )


def _images(cell: Cell) -> int:
    return int(cell.figures["images"])


def _clean(cells: Sequence[Cell], seeds: set[int]) -> Figure:
    """The clean accuracy of a line."""
    # All attacks on one fit have the same clean images, so one cell for each seed is enough.
    by_seed = {cell.spec.seed: cell for cell in cells if cell.ok}
    if not by_seed:
        return Figure(text="-")
    marks = "".join(mark for mark in "!=" if any(mark in cell.marks for cell in by_seed.values()))
    marks += "+" * (by_seed.keys() != seeds)
    values = [cell.figures["clean_accuracy"] for cell in by_seed.values()]
    return _figure(values, _images(next(iter(by_seed.values()))), marks)


def _attacked(cells: Sequence[Cell], seeds: set[int]) -> Figure:
    """The robust accuracy of a line under one attack; the status of the first cell without a result if there is one."""
    if not cells:
        return Figure(text="-")
    missing = [cell for cell in cells if not cell.ok]
    if missing:
        return Figure(text=missing[0].status)
    marks = "#" * any("#" in cell.marks for cell in cells) + "+" * ({cell.spec.seed for cell in cells} != seeds)
    return _figure([cell.figures["robust_accuracy"] for cell in cells], _images(cells[0]), marks)


def _worst(cells: Sequence[Cell], attacks: int, seeds: set[int]) -> Figure:
    """The accuracy of a line in the worst case over its attacks, for each image."""
    robust: dict[int, list[np.ndarray]] = {}
    for cell in cells:
        if cell.robust is not None:
            robust.setdefault(cell.spec.seed, []).append(cell.robust)
    if not robust:
        return Figure(text="-")
    partial = robust.keys() != seeds or any(len(arrays) < attacks for arrays in robust.values())
    images = len(next(iter(robust.values()))[0])
    return _figure([float(worst_case(arrays).mean()) for arrays in robust.values()], images, "+" * partial)


def _figure(values: Sequence[float], images: int, marks: str) -> Figure:
    """The figure of an accuracy for each seed."""
    # The interval is that of the number of distinct images: several seeds do not add images.
    mean = sum(values) / len(values)
    low, high = wilson(mean * images, images)
    return Figure(mean, low, high, images, tuple(values), marks)
