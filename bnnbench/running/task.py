"""Tasks: the units of work of a run."""

from __future__ import annotations

from dataclasses import dataclass

from bnnbench.matrix.plan import CellSpec, FitSpec
from bnnbench.store.store import CELLS, CHAINS, FITS


@dataclass(frozen=True)
class Task:
    """A unit of work: one part of a fit, a fit, or cells of one measurement of a fit."""

    name: str
    fit: FitSpec
    part: int | None = None
    cells: tuple[CellSpec, ...] = ()

    @property
    def key(self) -> str:
        """The key of the record that it writes, or of the first of them. Its progress is reported under this key."""
        if self.part is not None:
            return self.fit.part_key(self.part)
        return self.cells[0].key if self.cells else self.fit.key

    @property
    def needs(self) -> tuple[tuple[str, str], ...]:
        """The (kind, key) of the records that it reads."""
        if self.cells:
            return tuple((FITS, fit.key) for fit in self.cells[0].needs)
        if self.part is not None:
            return ()
        others = tuple((FITS, fit.key) for fit in self.fit.needs)
        return (*others, *((CHAINS, self.fit.part_key(part)) for part in range(self.fit.parts)))

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The (kind, key) of the records that it writes."""
        if self.part is not None:
            return [(CHAINS, self.key)]
        return [(CELLS, cell.key) for cell in self.cells] or [(FITS, self.fit.key)]

    @property
    def shown(self) -> str:
        """The key for `bnnbench show`: that of the fit for a part, whose failure the fit's record states."""
        return self.fit.key if self.part is not None else self.kept[0][1]


@dataclass
class Independent:
    """Tasks that wait for no other (see `dispatch.Tasks`)."""

    ready: list[Task]
    cached: int = 0
    kept_fits: int = 0

    @property
    def size(self) -> int:
        """The number of tasks."""
        return len(self.ready)

    def after(self, task: Task, ok: bool) -> tuple[list[Task], list[Task]]:
        """Two empty lists: no task waits for another."""
        return [], []

    def unfinished(self, task: Task) -> list[CellSpec]:
        """All cells of the task, whatever the store has."""
        return list(task.cells)

    def finished(self, task: Task) -> bool:
        """False: the store may have a record of an earlier run."""
        return False
