"""Tables as data: one block for each data set and network, one line for each posterior and threat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bnnbench.core.threat import Threat
from bnnbench.evidence.intervals import wilson
from bnnbench.matrix.results import Cell, Results, worst_case
from bnnbench.matrix.settings import FIRST_COLUMN, LAST_COLUMN

MARKS = {
    "~": "short posterior: not converged, so the row is about these draws, not the method's posterior",
    "!": "plain gradient exactly zero at some images (attacks follow a direction free of underflow)",
    "#": "a direction that the attack followed was exactly zero at some images: its number is not evidence",
    "=": "every image is given one and the same class: there is nothing to attack, and the row says nothing",
    "+": "partial: some cell of this row has no outcome: a mean lacks its seed, and the worst case may be worse",
}
"""The marks of a table and what they mean."""


@dataclass(frozen=True)
class Figure:
    """An accuracy over n images: its mean over seeds, a 95% Wilson interval at n, and the range over several seeds.

    `text` stands in its place where there is no number.
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
        """Percent, with as many decimals as the images give, or the text; marks behind."""
        return (self.text or self._percent(self.mean)) + self.marks

    @property
    def interval(self) -> str:
        """`96.1-98.8`, in percent; empty where there is no number."""
        return "" if self.text else f"{self._percent(self.low)}-{self._percent(self.high)}"

    @property
    def range(self) -> str:
        """The smallest and largest over seeds, in percent; empty for one seed."""
        if len(self.seeds) < 2:
            return ""
        return f"{self._percent(min(self.seeds))}..{self._percent(max(self.seeds))}"

    def _percent(self, share: float) -> str:
        return f"{100 * share:.{2 if self.images > 1000 else 1}f}"


@dataclass(frozen=True)
class Line:
    """One posterior under one threat: its name with marks, the threat, and a figure for each column."""

    posterior: str
    threat: str
    figures: list[Figure]


@dataclass(frozen=True)
class Block:
    """One data set and network: the columns are clean, each attack, and the worst case."""

    dataset: str
    network: str
    images: int
    seeds: int
    attacker: str
    """What every attacker of the table may do and sees."""
    columns: list[str]
    lines: list[Line]
    marks: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What stands above the table."""
        seeds = f", mean over {self.seeds} seeds, interval, range over seeds" if self.seeds > 1 else ""
        return f"{self.dataset} / {self.network}: accuracy in %, {self.images} test images{seeds}"


def blocks(results: Results) -> list[Block]:
    """The tables of a run, in the order of its file."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in results.cells:
        groups.setdefault((cell.spec.dataset, cell.spec.network), []).append(cell)
    return [_block(dataset, network, cells) for (dataset, network), cells in groups.items()]


def _block(dataset: str, network: str, cells: Sequence[Cell]) -> Block:
    attacks = list(dict.fromkeys(cell.spec.attack for cell in cells))
    seeds = {cell.spec.seed for cell in cells}
    several = [name for name in ("norm", "access") if len({getattr(cell.spec.threat, name) for cell in cells}) > 1]
    radii = {cell.spec.threat.epsilon for cell in cells}
    short = len({f"{radius:g}" for radius in radii}) == len(radii)
    lines: list[Line] = []
    rows: dict[tuple[str, Threat], list[Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.spec.posterior, cell.spec.threat), []).append(cell)
    for (posterior, threat), own in rows.items():
        mark = "~" if any(cell.card == "short" for cell in own) else ""
        figures = [_clean(own, seeds)]
        figures += [_attacked([cell for cell in own if cell.spec.attack == attack], seeds) for attack in attacks]
        figures.append(_worst(own, len(attacks), seeds))
        radius = f"{threat.epsilon:g}" if short else repr(threat.epsilon)
        name = " ".join([radius, *(getattr(threat, name) for name in several)])
        lines.append(Line(posterior + mark, name, figures))
    used = "".join(line.posterior[-1] for line in lines) + "".join(f.marks for line in lines for f in line.figures)
    images = max((len(cell.outcome) for cell in cells if cell.outcome), default=0)
    return Block(
        dataset,
        network,
        images,
        len(seeds),
        _attacker(cells),
        [FIRST_COLUMN, *attacks, LAST_COLUMN],
        lines,
        [mark for mark in MARKS if mark in used],
        _notes(cells),
    )


def _attacker(cells: Sequence[Cell]) -> str:
    """What the attackers of a table have in common; where they differ, each line says it."""
    threats = [cell.spec.threat for cell in cells]
    access = {"gradient": "gradients", "scores": "scores alone"}
    norms = list(dict.fromkeys(threat.norm for threat in threats))
    asked = list(dict.fromkeys(access[threat.access] for threat in threats))
    told = [one[0] for one in (norms, asked) if len(one) == 1]
    told.append(f"stream {threats[0].stream}")
    outcomes = [cell.outcome for cell in cells if cell.outcome]
    if not outcomes:
        return ", ".join(told)
    defend = _span([outcome.draws for outcome in outcomes])
    attack = _span([outcome.attack_draws for outcome in outcomes])
    sees = {
        "fixed": f"the attacker has {f'{attack} of ' if _weaker(threats[0]) else ''}the draws that defend ({defend})",
        "independent": f"{defend} draws defend, and the attacker has {attack} others",
        "fresh": f"{attack} draws chosen anew at each query",
    }
    return f"{', '.join(told)}: {sees[threats[0].stream]}"


def _weaker(threat: Threat) -> bool:
    """Whether the attacker sees less than it might: the draws that defend, all of them."""
    return threat.stream != "fixed" or threat.attack_draws is not None


def _span(numbers: Sequence[int]) -> str:
    """`50`, or `1 to 50`."""
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def _clean(cells: Sequence[Cell], seeds: set[int]) -> Figure:
    # One outcome for each seed: every attack on the same fit has the same clean images.
    outcomes = {cell.spec.seed: cell.outcome for cell in cells if cell.outcome}
    if not outcomes:
        return Figure(text="-")
    zero = any(outcome.zero_gradient.any() for outcome in outcomes.values())
    constant = any(outcome.constant for outcome in outcomes.values())
    partial = outcomes.keys() != seeds
    marks = "!" * zero + "=" * constant + "+" * partial
    return _figure([outcome.clean_accuracy for outcome in outcomes.values()], len(next(iter(outcomes.values()))), marks)


def _attacked(cells: Sequence[Cell], seeds: set[int]) -> Figure:
    if not cells:
        return Figure(text="-")
    missing = [cell for cell in cells if cell.outcome is None]
    if missing:
        return Figure(text=missing[0].status)
    outcomes = [cell.outcome for cell in cells if cell.outcome]
    zero = any(outcome.zero_direction is not None and outcome.zero_direction.any() for outcome in outcomes)
    marks = "#" * zero + "+" * ({cell.spec.seed for cell in cells} != seeds)
    return _figure([outcome.robust_accuracy for outcome in outcomes], len(outcomes[0]), marks)


def _worst(cells: Sequence[Cell], attacks: int, seeds: set[int]) -> Figure:
    by_seed: dict[int, list[Cell]] = {}
    for cell in cells:
        by_seed.setdefault(cell.spec.seed, []).append(cell)
    found = {seed: [cell.outcome for cell in own if cell.outcome] for seed, own in by_seed.items()}
    found = {seed: outcomes for seed, outcomes in found.items() if outcomes}
    if not found:
        return Figure(text="-")
    partial = found.keys() != seeds or any(len(outcomes) < attacks for outcomes in found.values())
    images = len(next(iter(found.values()))[0])
    return _figure([float(worst_case(outcomes).mean()) for outcomes in found.values()], images, "+" * partial)


def _figure(values: Sequence[float], images: int, marks: str) -> Figure:
    # Seeds are not more images: the interval stays at n distinct images.
    mean = sum(values) / len(values)
    low, high = wilson(mean * images, images)
    return Figure(mean, low, high, images, tuple(values), marks)


def _notes(cells: Sequence[Cell]) -> list[str]:
    """Why something has no number, each reason once, with how many cells it took."""
    reasons: dict[tuple[str, str, str], int] = {}
    for cell in cells:
        if cell.outcome is None:
            key = (cell.spec.posterior, cell.status, cell.reason)
            reasons[key] = reasons.get(key, 0) + 1
    notes = [
        f"{posterior}: {status} ({count} cell{'s' * (count > 1)}): {reason}"
        for (posterior, status, reason), count in reasons.items()
    ]
    notes += dict.fromkeys(warning for cell in cells for warning in cell.warnings if warning.startswith("the test set"))
    if _weaker(cells[0].spec.threat):
        notes.append("stream fixed with all draws favours the attacker: report this beside it, never in its place")
    short = {
        cell.spec.posterior: warning
        for cell in cells
        for warning in cell.warnings
        if warning.startswith("posterior is")
    }
    return notes + [f"{posterior}: {warning}" for posterior, warning in short.items()]
