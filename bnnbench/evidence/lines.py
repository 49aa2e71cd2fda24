"""The cells of attacks and certificates as tables show them: by data set and network, posterior and threat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bnnbench.core.threat import Threat
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.worst_case import Combined, certified_of, worst_of
from bnnbench.matrix.settings import CERTIFIED_COLUMN, LAST_COLUMN

ATTACK, CERTIFICATE = KINDS = ("attack", "certificate")
"""The kinds of cells that have lines."""


@dataclass(frozen=True)
class Line:
    """The cells of one posterior under one threat: those of each attack at each seed, and those of certificates."""

    posterior: str
    threat: Threat
    cells: list[Cell]
    """The cells of attacks."""
    proofs: list[Cell]
    """The cells of certificates."""

    @property
    def all(self) -> list[Cell]:
        """The cells of attacks, then those of certificates."""
        return [*self.cells, *self.proofs]

    @property
    def radius(self) -> str:
        """The threat's radius as the file writes it."""
        return self.all[0].spec.epsilon_text

    @property
    def by_seed(self) -> dict[int, list[Cell]]:
        """The cells of attacks at each seed."""
        return _by_seed(self.cells)

    @property
    def all_by_seed(self) -> dict[int, list[Cell]]:
        """The cells of attacks and certificates at each seed."""
        return _by_seed(self.all)

    @property
    def clean(self) -> dict[int, Cell]:
        """One cell with a result for each seed that has any, of an attack if possible.

        All attacks and certificates of one fit have the same clean images.
        """
        clean = {cell.spec.seed: cell for cell in self.cells if cell.ok}
        return {cell.spec.seed: cell for cell in self.proofs if cell.ok} | clean if self.proofs else clean


@dataclass(frozen=True)
class Group:
    """The cells of one data set and network: the labels of attacks and certificates, their seeds, and their lines."""

    dataset: str
    network: str
    attacks: list[str]
    certificates: list[str]
    seeds: list[int]
    lines: list[Line]

    def combined(self, line: Line) -> dict[str, Combined]:
        """What all certificates and all attacks of a line say together, by column; only of kinds that the group has."""
        columns = {}
        if self.certificates:
            columns[CERTIFIED_COLUMN] = certified_of(line.proofs, len(self.certificates), self.seeds)
        if self.attacks:
            columns[LAST_COLUMN] = worst_of(line.cells, len(self.attacks), self.seeds)
        return columns


def groups(cells: Iterable[Cell]) -> list[Group]:
    """The groups of all cells that have lines, in the order of the file; other cells are left out."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if has_line(cell):
            found.setdefault((cell.spec.dataset, cell.spec.network), []).append(cell)
    return [group_of(dataset, network, members) for (dataset, network), members in found.items()]


def has_line(cell: Cell) -> bool:
    """Whether a cell is one of an attack, or of a certificate about the predictive that is attacked."""
    return cell.spec.kind in KINDS and cell.spec.about_predictive


def group_of(dataset: str, network: str, cells: Sequence[Cell]) -> Group:
    """The group of cells of attacks and certificates of one data set and network."""
    labels = {kind: dict.fromkeys(cell.spec.label for cell in cells if cell.spec.kind == kind) for kind in KINDS}
    seeds = list(dict.fromkeys(cell.spec.seed for cell in cells))
    lines: dict[tuple[str, Threat], Line] = {}
    for cell in cells:
        place = (cell.spec.posterior, threat_of(cell))
        line = lines.setdefault(place, Line(*place, [], []))
        (line.cells if cell.spec.kind == ATTACK else line.proofs).append(cell)
    return Group(dataset, network, [*labels[ATTACK]], [*labels[CERTIFICATE]], seeds, [*lines.values()])


def _by_seed(cells: Iterable[Cell]) -> dict[int, list[Cell]]:
    by_seed: dict[int, list[Cell]] = {}
    for cell in cells:
        by_seed.setdefault(cell.spec.seed, []).append(cell)
    return by_seed


def threat_of(cell: Cell) -> Threat:
    """The threat of a cell of an attack or a certificate."""
    assert cell.spec.threat is not None, "every attack and every certificate has a threat"
    return cell.spec.threat
