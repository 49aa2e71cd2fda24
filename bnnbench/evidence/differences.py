"""The differences in results: between posteriors, between attacks on one fit, and between two results."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from bnnbench.core.threat import Threat
from bnnbench.errors import ConfigError, one_line
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.difference import Difference, Differences, Pair, Robust, difference_of
from bnnbench.evidence.lines import Group, Line, groups
from bnnbench.evidence.marks import short_mark
from bnnbench.evidence.worst_case import worst_case
from bnnbench.matrix.settings import LAST_COLUMN
from bnnbench.measurements.findings import REFUTING

Runs = dict[tuple[str, int], Cell]
"""Cells by the label of their attack, and their seed."""


def between_posteriors(found: Iterable[Group]) -> Differences:
    """The differences between all posteriors of a group under one threat, in the worst case over the attacks of both.

    Raises `ConfigError` if two of them are about other images.
    """
    compared = []
    for group in found:
        by_posterior: dict[str, dict[Threat, Line]] = {}
        for line in group.lines:
            by_posterior.setdefault(line.posterior, {})[line.threat] = line
        for names in itertools.combinations(by_posterior, 2):
            ours, theirs = (by_posterior[name] for name in names)
            for threat in [threat for threat in ours if threat in theirs]:
                runs = _runs(ours[threat]), _runs(theirs[threat])
                if all(runs):
                    compared.append(_compared("posteriors", names, (group, ours[threat]), LAST_COLUMN, *runs))
    return _adjusted(compared)


def between_attacks(found: Iterable[Group]) -> Differences:
    """The differences between all attacks on one fit under one threat. Raises as `between_posteriors` does."""
    compared = []
    for group in found:
        for line in group.lines:
            # Two attacks share no label: their cells at one seed are compared.
            asked = {
                label: {("", seed): cell for (_, seed), cell in runs.items()}
                for label in group.attacks
                if (runs := _runs(line, label))
            }
            for one, other in itertools.combinations(asked, 2):
                compared.append(_compared("attacks", (one, other), (group, line), "", asked[one], asked[other]))
    return _adjusted(compared)


def between_results(
    first: Sequence[Cell], second: Sequence[Cell], names: tuple[str, str], *, attacks: bool = False
) -> Differences:
    """The differences between two results with these names, of lines with the same labels and threat.

    They are those of the worst case over the attacks that both have or, with `attacks`, of each of these attacks.
    Raises as `between_posteriors` does.
    """
    there = {_labels(group, line): line for group in groups(second) for line in group.lines}
    compared = []
    for group in groups(first):
        for line in group.lines:
            if (match := there.get(_labels(group, line))) is None:
                continue
            for label in group.attacks if attacks else [""]:
                ours, theirs = _runs(line, label), _runs(match, label)
                if ours and theirs:
                    compared.append(_compared("results", names, (group, line), label or LAST_COLUMN, ours, theirs))
    return _adjusted(compared)


def _adjusted(compared: Iterable[Difference | None]) -> Differences:
    """The differences of the pairs that have a common outcome, adjusted for all of them."""
    found = list(compared)
    made = [one for one in found if one is not None]
    return Differences.of(made, len(found) - len(made))


def _labels(group: Group, line: Line) -> tuple[Any, ...]:
    """What two lines of two results have in common if they are compared."""
    return group.dataset, group.network, line.posterior, line.threat


def _runs(line: Line, label: str = "") -> Runs:
    """The cells of a line by attack and seed, those of one attack if a label is given."""
    return {(cell.spec.label, cell.spec.seed): cell for cell in line.cells if label in ("", cell.spec.label)}


def _compared(
    compared: Literal["posteriors", "attacks", "results"],
    names: tuple[str, str],
    place: tuple[Group, Line],
    attack: str,
    ours: Runs,
    theirs: Runs,
) -> Difference | None:
    """The difference of two lines or attacks over the attacks and seeds of which both have outcomes; None without any.

    Raises `ConfigError` if they are about other images.
    """
    group, line = place
    common = [run for run in ours if run in theirs and ours[run].ok and theirs[run].ok]
    if not common:
        return None
    pair = Pair(
        compared,
        *names,
        dataset=group.dataset,
        network=group.network,
        posterior="" if compared == "posteriors" else line.posterior,
        attack=attack,
        threat=line.threat,
        epsilon_text=line.radius,
        seeds=tuple(dict.fromkeys(seed for _, seed in common)),
        marks=(_marks(ours, common), _marks(theirs, common)),
        partial=len(common) < len(ours.keys() | theirs.keys()),
    )
    if len({cell.sample for runs in (ours, theirs) for cell in (runs[run] for run in common)}) > 1:
        where = f"{group.dataset} / {group.network}"
        raise ConfigError([one_line(f"{where}: {names[0]} and {names[1]} have other test images: nothing is paired")])
    return difference_of(pair, _robust(pair, ours, common), _robust(pair, theirs, common))


def _marks(runs: Runs, common: Sequence[tuple[str, int]]) -> str:
    """The marks of the common cells: `~` if a posterior is short, and those of findings that refute their worst case.

    It is refuted if at some seed every outcome is: one that is evidence bounds the worst case by itself.
    """
    by_seed: dict[int, list[Cell]] = {}
    for run in common:
        by_seed.setdefault(run[1], []).append(runs[run])
    refuted = [cell for cells in by_seed.values() if all(cell.refuted for cell in cells) for cell in cells]
    used = {mark for cell in refuted for mark in cell.marks}
    return short_mark(runs[run] for run in common) + "".join(mark for mark in REFUTING if mark in used)


def _robust(pair: Pair, runs: Runs, common: Sequence[tuple[str, int]]) -> Robust:
    """Where images are robust under every common attack, (seeds, images)."""
    by_seed: dict[int, list[np.ndarray]] = {seed: [] for seed in pair.seeds}
    for run in common:
        robust = runs[run].robust
        assert robust is not None, "outcomes of attacks say which images are robust"
        by_seed[run[1]].append(robust)
    return np.stack([worst_case(arrays) for arrays in by_seed.values()])
