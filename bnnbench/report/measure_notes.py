"""What the table of a measure says beside its figures: what is compared with, remarks of the measure, times of fits."""

from __future__ import annotations

from collections.abc import Sequence

from bnnbench.core.named_components import registered_name
from bnnbench.errors import message_of, one_line
from bnnbench.evidence.cell import Cell, times_of
from bnnbench.measurements.measure import Measure
from bnnbench.plugins.signals import contained
from bnnbench.store.store import FITS


def fit_seconds(cell: Cell) -> float | None:
    """The seconds of the fit of a cell, without those of the fits that it is made of; None if they are not known."""
    record = cell.store.record(FITS, cell.spec.fit.key) if cell.store else None
    return None if record is None else times_of(record)[0]


def compared_with(cells: Sequence[Cell]) -> list[str]:
    """A line for each posterior that the cells of a measure compare with: its label or name, and its card."""
    labels = {cell.spec.fit.key: cell.spec.posterior for cell in cells}
    found: dict[str, dict[str, None]] = {}
    for cell in cells:
        for fit in cell.spec.needs[1:]:
            record = cell.store.record(FITS, fit.key) if cell.store else None
            card = (record or {}).get("card")
            if isinstance(card, dict) and "level" in card:
                text = one_line(f"{card['level']}: {card.get('why', '')}".removesuffix(": "))
                found.setdefault(labels.get(fit.key, registered_name(fit.posterior)), {})[text] = None
    return [f"compared with {name}, which is {'; '.join(texts)}" for name, texts in found.items()]


def remarks(cells: Sequence[Cell]) -> list[str]:
    """The lines of a measure about the cells of one data set and network, which have results."""
    component = cells[0].spec.component
    if not isinstance(component, Measure) or type(component).remarks is Measure.remarks:
        return []
    results: dict[str, dict[int, dict[str, object]]] = {}
    for cell in cells:
        if (values := cell.outcome) is not None:
            results.setdefault(cell.spec.posterior, {})[cell.spec.seed] = values
    try:
        with contained():
            return [one_line(str(line)) for line in component.remarks(results)]
    except Exception as error:  # noqa: BLE001 - a plugin writes them
        return [f"the remarks of {cells[0].spec.label} cannot be made: {message_of(error)}"]
