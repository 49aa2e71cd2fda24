"""The kinds of rows in reports: a row for each cell, for each worst case, or for each image; and the times of cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bnnbench.errors import one_line
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.lines import ATTACK, CERTIFICATE, Group, Line, groups
from bnnbench.evidence.worst_case import Combined, accuracy_of, certified_case, worst_case, worst_of
from bnnbench.matrix.settings import CERTIFIED_COLUMN, LAST_COLUMN
from bnnbench.matrix.specs import FitSpec
from bnnbench.statistics import metrics

Row = dict[str, Any]
Cards = Callable[[FitSpec], Mapping[str, Any]]
"""A function that gives the posterior card of a fit; empty if it has none."""

_NAMES = {
    "dataset",
    "network",
    "posterior",
    "epsilon",
    "epsilon_text",
    "norm",
    "stream",
    "access",
    "goal",
    "queries",
    "seed",
    "kind",
    "status",
    "fit",
    "cell",
}
"""The columns of rows of cells that name a cell."""
_LEVELS = ("degenerate", "short", "single", "independent", "converged")
"""The levels of cards, the worst first."""


def cell_rows(cells: Sequence[Cell], cards: Cards) -> list[Row]:
    """A row for each cell. That of an attack ends with the worst case over all attacks of its line, at its seed."""
    worst: dict[int, Row] = {}
    for group in groups(cells):
        for line in group.lines:
            for seed, members in line.by_seed.items():
                figures = _figures(LAST_COLUMN, worst_of(members, len(group.attacks), [seed]))
                worst |= {id(cell): figures for cell in members}
    return [cell.row() | worst.get(id(cell), {}) for cell in cells]


def worst_rows(cells: Sequence[Cell], cards: Cards) -> list[Row]:
    """A row for each data set, network, posterior and threat, as tables show it.

    It holds the worst case over its attacks, and what its certificates prove together.
    """
    return [_worst_row(group, line, cards) for group in groups(cells) for line in group.lines]


def image_rows(cells: Sequence[Cell], cards: Cards) -> list[Row]:
    """A row for each image of each fit and threat: its prediction, and what attacks and certificates say of it."""
    return [
        row
        for group in groups(cells)
        for line in group.lines
        for seed, members in line.all_by_seed.items()
        for row in _images(group, line, seed, members)
    ]


def time_rows(cells: Sequence[Cell], cards: Cards) -> list[Row]:
    """A row for each cell with its time. Rows of cells have none: they are the same for each run of a matrix."""
    return [
        {name: value for name, value in cell.row().items() if name in _NAMES | {cell.spec.kind}}
        | {"seconds": cell.seconds, "cpu_seconds": cell.cpu_seconds}
        for cell in cells
    ]


ROWS: dict[str, Callable[[Sequence[Cell], Cards], list[Row]]] = {
    "cells": cell_rows,
    "worst": worst_rows,
    "images": image_rows,
    "times": time_rows,
}
"""The function that makes the rows of each kind."""


def card_figures(cards: Sequence[Mapping[str, Any]]) -> Row:
    """The figures of the cards of a row's fits: the worst level and its reason, R-hat, ESS, and divergences.

    Of several fits the largest R-hat, the smallest ESS and the sum of divergences are given; None without any.
    """
    known = [card for card in cards if card.get("level") in _LEVELS]
    worst = min(known, key=lambda card: _LEVELS.index(card["level"]), default={})

    def numbers(name: str) -> list[Any]:
        return [card[name] for card in known if isinstance(card.get(name), int | float)]

    return {
        "card": worst.get("level"),
        "card_why": one_line(str(worst["why"])) if "why" in worst else None,
        "card_rhat": max(numbers("rhat"), default=None),
        "card_ess": min(numbers("ess"), default=None),
        "card_divergences": sum(numbers("divergences")) if numbers("divergences") else None,
    }


def _figures(column: str, combined: Combined | None) -> Row:
    """The figures of a column of tables that combines attacks or certificates, by name; all are None without any."""
    found = combined and combined.accuracy
    return {
        f"{column}_accuracy": found and found.mean,
        f"{column}_low": found and found.low,
        f"{column}_high": found and found.high,
        f"{column}_partial": combined and combined.partial,
    }


def _names(group: Group, line: Line) -> Row:
    """The fields that name a line: labels and threat."""
    threat = line.threat
    return {
        "dataset": group.dataset,
        "network": group.network,
        "posterior": line.posterior,
        "epsilon": threat.epsilon,
        "epsilon_text": line.radius,
        "norm": threat.norm,
        "stream": threat.stream,
        "access": threat.access,
        "goal": threat.goal,
        "queries": threat.queries,
        **{name: value for name, value in threat.goal_options.items() if value is not None},
    }


def _worst_row(group: Group, line: Line, cards: Cards) -> Row:
    """The row of a line: its clean accuracy, its worst case, the attacks of the worst case, and those that are absent.

    What its certificates prove together stands at the end, and is None without certificates.
    Accuracies are means over seeds with the Wilson interval at the number of images. `worst_smallest` and
    `worst_largest` are the range over seeds.
    """
    worst, clean = worst_of(line.cells, len(group.attacks), group.seeds), line.clean
    proven = group.combined(line).get(CERTIFIED_COLUMN)
    present = {cell.spec.label for cell in line.cells if cell.ok}
    complete = {label for label in group.attacks if _seeds_of(line, label) == set(group.seeds)}
    found = next((cell.figures for cell in clean.values()), {})
    accuracies = [cell.figures["clean_accuracy"] for cell in clean.values()]
    before = accuracy_of(accuracies, found["images"]) if found else None
    values = worst.accuracy.seeds if worst.accuracy else ()
    fits = {cell.spec.fit.key: cell.spec.fit for cell in clean.values() or line.all}
    return {
        **_names(group, line),
        "attacks": [label for label in group.attacks if label in present],
        "attacks_missing": [label for label in group.attacks if label not in complete],
        "seeds": list(clean),
        **{name: found.get(name) for name in ("images", "draws", "attack_draws")},
        "clean_accuracy": before and before.mean,
        "clean_low": before and before.low,
        "clean_high": before and before.high,
        **_figures(LAST_COLUMN, worst),
        "worst_smallest": min(values, default=None),
        "worst_largest": max(values, default=None),
        **card_figures([cards(fit) for fit in fits.values()]),
        "warnings": list(dict.fromkeys(warning for cell in line.all for warning in cell.warnings)),
        "reasons": [_absence(cell) for cell in line.all if not cell.ok],
        "fits": list(fits),
        **_figures(CERTIFIED_COLUMN, proven),
    }


def _absence(cell: Cell) -> str:
    """Why a cell has no outcome."""
    return f"{cell.spec.label}, seed {cell.spec.seed}: {cell.status}: {cell.reason}"


def _seeds_of(line: Line, label: str) -> set[int]:
    """The seeds at which an attack of a line has an outcome."""
    return {cell.spec.seed for cell in line.cells if cell.ok and cell.spec.label == label}


def _images(group: Group, line: Line, seed: int, cells: Sequence[Cell]) -> Iterator[Row]:
    """The rows of the images of one line at one seed; none if no attack and no certificate has a result."""
    found = {(cell.spec.kind, cell.spec.label): result for cell in cells if (result := cell.outcome) is not None}
    if not found:
        return
    first = next(iter(found.values()))
    clean = first.clean_log_probs
    columns: dict[str, Any] = {
        "index": first.index,
        "label": first.label,
        "clean_class": clean.argmax(-1),
        "clean_right": first.clean_correct,
        "entropy": metrics.entropy(clean),
        "mutual_information": metrics.mutual_information(clean, first.clean_entropy),
    }
    nothing = np.full(len(first), None)
    attacked = [found.get((ATTACK, label)) for label in group.attacks]
    for label, result in zip(group.attacks, attacked, strict=True):
        columns[f"{label}.broke"] = nothing if result is None else ~result.robust
        columns[f"{label}.distance"] = nothing if result is None else result.distance
        columns[f"{label}.passes"] = nothing if result is None else result.passes
    robust = [result.robust for result in attacked if result is not None]
    columns["worst_robust"] = worst_case(robust) if robust else nothing
    proven = _proven(group, found, nothing)
    names = _names(group, line) | {"seed": seed}
    between = {"worst_partial": len(robust) < len(group.attacks), "fit": cells[0].spec.fit.key}
    for values, more in zip(_rows_of(columns), _rows_of(proven), strict=True):
        yield {**names, **values, **between, **more}


def _proven(group: Group, found: Mapping[tuple[str, str], Any], nothing: np.ndarray) -> dict[str, Any]:
    """The columns of what certificates prove: those of each, and `certified`, which is `nothing` without a result."""
    columns = {}
    results = [found.get((CERTIFICATE, label)) for label in group.certificates]
    for label, result in zip(group.certificates, results, strict=True):
        for name in ("certified", "bound", "refuted"):
            value = getattr(result, name, None)
            columns[f"{label}.{name}"] = nothing if value is None else value
    certified = [result.certified for result in results if result is not None]
    return columns | {CERTIFIED_COLUMN: certified_case(certified) if certified else nothing}


def _rows_of(columns: Mapping[str, Any]) -> Iterator[Row]:
    """A mapping for each place of these arrays (N,), with plain values."""
    for values in zip(*map(_plain, columns.values()), strict=True):
        yield dict(zip(columns, values, strict=True))


def _plain(array: np.ndarray) -> list[Any]:
    """The values of an array as Python values; None for numbers that are not finite, which JSON does not have."""
    values: list[Any] = array.tolist()
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return values
    return [value if np.isfinite(value) else None for value in values]
