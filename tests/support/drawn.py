"""Results of cells made by hand, for figures, and the series of what a figure gives for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from outcomes import cell, certified, outcome

import bnnbench as bb
from bnnbench.evidence.cell import Cell
from bnnbench.measurements.outcome import Outcome


class Known(Cell):
    """A cell whose result is at hand."""

    found: Any = None

    @property
    def outcome(self) -> Any:
        return self.found


def attacked(
    label: str,
    robust: str | None,
    *,
    clean: str = "1111111111",
    epsilon: float = 0.1,
    seed: int = 0,
    posterior: str = "sgd",
    component: bb.Attack | None = None,
    threat: Mapping[str, Any] | None = None,
    card: str = "single",
    changes: Mapping[str, Any] | None = None,
) -> Cell:
    """A cell of an attack on ten images: 1 where an image is right attacked; without a result if `robust` is None.

    `changes` are fields of the outcome in the place of those of `outcomes.outcome`.
    """
    found = None if robust is None else replace(outcome(robust, clean), **{"passes": np.ones(10), **(changes or {})})
    return _under(
        cell(label, seed, found, status="ok" if found else "failed", card=card),
        found,
        posterior,
        component,
        epsilon,
        threat,
    )


def proven(label: str, bits: str, *, epsilon: float = 0.1, seed: int = 0, posterior: str = "sgd") -> Cell:
    """A cell of a certificate about the images of `attacked`: 1 where it proves."""
    return _under(certified(label, seed, bits), None, posterior, None, epsilon, None)


def _under(
    made: Cell, found: Outcome | None, posterior: str, component: Any, epsilon: float, threat: Mapping[str, Any] | None
) -> Cell:
    """A cell with its result at hand, of other labels and under another threat."""
    own = bb.Threat(epsilon=epsilon, **(threat or {}))
    spec = replace(made.spec, posterior=posterior, threat=own, component=component or made.spec.component)
    values = {name: getattr(made, name) for name in Cell.__dataclass_fields__}
    known = Known(**{**values, "spec": spec})
    object.__setattr__(known, "found", found)
    return known


def results_of(cells: Sequence[Cell]) -> bb.Results:
    """The results that have these cells."""
    results = bb.Results.__new__(bb.Results)
    results.__dict__.update(_cells=list(cells), metrics={}, _reader=SimpleNamespace(card=lambda fit: {}))
    return results


def drawn(name: str, cells: Sequence[Cell], **parameters: Any) -> list[bb.Picture]:
    """The pictures of a bundled figure."""
    return list(bb.figure(name, **parameters).pictures(results_of(cells)))


def series_of(picture: bb.Picture, panel: int = 0) -> dict[str, dict[float, float]]:
    """The points of each series of a panel: y by x, by label."""
    return {one.label: dict(zip(one.x, one.y, strict=True)) for one in picture.panels[panel].series}
