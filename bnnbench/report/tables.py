"""Tables of attacks and certificates as numbers: one for each data set and network, a line a posterior and threat."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from bnnbench.evidence import lines
from bnnbench.evidence.audit.audit import Audit
from bnnbench.evidence.audit.planned import free_audits
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.marks import MARKS, marks_of, short_mark
from bnnbench.evidence.results import Results
from bnnbench.evidence.threat_names import threat_names, withstood
from bnnbench.evidence.worst_case import Accuracy, Combined, accuracy_of
from bnnbench.matrix.settings import CERTIFIED_COLUMN, FIRST_COLUMN
from bnnbench.measurements.findings import OF_ATTACK, OF_PREDICTIVE
from bnnbench.plugins.described import counted
from bnnbench.report.difference_notes import difference_notes
from bnnbench.report.flag_notes import flag_notes
from bnnbench.report.words import about, notes


@dataclass(frozen=True)
class Entry:
    """A number in a table: an accuracy over n images, its 95% Wilson interval at n, and its value for each seed.

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
    def value(self) -> str:
        """The mean in percent, with two decimals above 1000 images and otherwise one; or the text."""
        return self.text or self._percent(self.mean)

    @property
    def number(self) -> str:
        """The value, then the marks."""
        return self.value + self.marks

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
    figures: list[Entry]


@dataclass(frozen=True)
class Block:
    """The table of one data set and network.

    Its columns are clean, each attack, and those of `combined`: what all certificates and all attacks say together.
    """

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
    combined: list[str] = field(default_factory=list)
    """The last columns, which are made of several cells of a line."""
    goals: list[str] = field(default_factory=list)
    """The goals of its attackers in words, `untargeted` left out."""

    @property
    def title(self) -> str:
        """The title: data set, network, and the numbers of images and seeds, as far as they are known."""
        images = f", {counted(self.images, 'test image')}" if self.images else ""
        seeds = f", mean over {self.seeds} seeds" if self.seeds > 1 else ""
        what = "clean accuracy and images that withstood, in %" if self.goals else "accuracy in %"
        return f"{self.dataset} / {self.network}: {what}{images}{seeds}"


def blocks(results: Results) -> list[Block]:
    """The tables of all attacks and certificates, in the order of the file."""
    audits = free_audits(results)
    return [_block_of(group, audits) for group in lines.groups(results.cells)]


def _block_of(group: lines.Group, audits: Sequence[Audit] = ()) -> Block:
    """The table of a group of cells, with notes about the flags that are raised in these audits."""
    cells = [cell for line in group.lines for cell in line.all]
    names, rows, used, combined = threat_names(cells), [], "", [*group.combined(group.lines[0])]
    for line in group.lines:
        mark = short_mark(line.all)
        figures = [_clean(line, group.seeds)]
        for attack in group.attacks:
            figures.append(_attacked([cell for cell in line.cells if cell.spec.label == attack], group.seeds))
        figures += [_combined(one, _sources(line, name)) for name, one in group.combined(line).items()]
        rows.append(Line(line.posterior + mark, names[line.threat], figures))
        used += mark + "".join(figure.marks for figure in figures)
    return Block(
        group.dataset,
        group.network,
        max((_images(cell) for cell in cells if cell.ok), default=0),
        len(group.seeds),
        about(cells),
        [FIRST_COLUMN, *group.attacks, *combined],
        rows,
        [mark for mark in MARKS if mark in used],
        [*notes(cells), *flag_notes(audits, group, names), *difference_notes(group, names)],
        combined,
        [*withstood(cells)],
    )


def _images(cell: Cell) -> int:
    return int(cell.figures["images"])


def _clean(line: lines.Line, seeds: Collection[int]) -> Entry:
    """The clean accuracy of a line."""
    by_seed = line.clean
    if not by_seed:
        return Entry(text="-")
    marks = marks_of(by_seed.values(), OF_PREDICTIVE, seeds)
    values = [cell.figures["clean_accuracy"] for cell in by_seed.values()]
    return _entry(accuracy_of(values, _images(next(iter(by_seed.values())))), marks)


def _attacked(cells: Sequence[Cell], seeds: Collection[int]) -> Entry:
    """The robust accuracy of a line under one attack; the status of the first cell without a result if there is one."""
    if not cells:
        return Entry(text="-")
    missing = [cell for cell in cells if not cell.ok]
    if missing:
        return Entry(text=missing[0].status)
    marks = marks_of(cells, OF_ATTACK, seeds)
    return _entry(accuracy_of([cell.figures["robust_accuracy"] for cell in cells], _images(cells[0])), marks)


def _combined(combined: Combined, sources: Sequence[Cell]) -> Entry:
    """What several cells of a line say together, for each image.

    Without a result it is the status of the first of the sources, which have no columns of their own.
    """
    if combined.accuracy is None:
        return Entry(text=next((cell.status for cell in sources), "-"))
    return _entry(combined.accuracy, "+" * combined.partial)


def _sources(line: lines.Line, column: str) -> Sequence[Cell]:
    """The cells of a combined column that have no column of their own: certificates."""
    return line.proofs if column == CERTIFIED_COLUMN else ()


def _entry(accuracy: Accuracy, marks: str) -> Entry:
    return Entry(accuracy.mean, accuracy.low, accuracy.high, accuracy.images, accuracy.seeds, marks)
