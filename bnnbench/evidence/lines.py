"""The cells of attacks as tables show them: by data set and network, and in these by posterior and threat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bnnbench.core.threat import Threat
from bnnbench.evidence.cell import Cell

ATTACK = "attack"
"""The kind of cells that have lines."""


@dataclass(frozen=True)
class Line:
    """The cells of one posterior under one threat: those of each attack at each seed."""

    posterior: str
    threat: Threat
    cells: list[Cell]

    @property
    def radius(self) -> str:
        """The threat's radius as the file writes it."""
        return self.cells[0].spec.epsilon_text

    @property
    def by_seed(self) -> dict[int, list[Cell]]:
        """The cells of each seed."""
        cells: dict[int, list[Cell]] = {}
        for cell in self.cells:
            cells.setdefault(cell.spec.seed, []).append(cell)
        return cells

    @property
    def clean(self) -> dict[int, Cell]:
        """One cell with a result for each seed that has any: all attacks on one fit have the same clean images."""
        return {cell.spec.seed: cell for cell in self.cells if cell.ok}


@dataclass(frozen=True)
class Group:
    """The cells of one data set and network: the labels of their attacks, their seeds, and their lines."""

    dataset: str
    network: str
    attacks: list[str]
    seeds: list[int]
    lines: list[Line]


def groups(cells: Iterable[Cell]) -> list[Group]:
    """The groups of all cells of attacks, in the order of the file; other cells are left out."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.spec.kind == ATTACK:
            found.setdefault((cell.spec.dataset, cell.spec.network), []).append(cell)
    return [group_of(dataset, network, members) for (dataset, network), members in found.items()]


def group_of(dataset: str, network: str, cells: Sequence[Cell]) -> Group:
    """The group of cells of attacks on one data set and network."""
    attacks = list(dict.fromkeys(cell.spec.label for cell in cells))
    seeds = list(dict.fromkeys(cell.spec.seed for cell in cells))
    lines: dict[tuple[str, Threat], list[Cell]] = {}
    for cell in cells:
        lines.setdefault((cell.spec.posterior, threat_of(cell)), []).append(cell)
    return Group(
        dataset,
        network,
        attacks,
        seeds,
        [Line(posterior, threat, members) for (posterior, threat), members in lines.items()],
    )


def threat_of(cell: Cell) -> Threat:
    """The threat of a cell of an attack."""
    assert cell.spec.threat is not None, "every attack has a threat"
    return cell.spec.threat
