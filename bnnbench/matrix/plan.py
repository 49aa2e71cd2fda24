"""The plan of a benchmarks file: the cells that it asks for, the fits that they share, and the tasks they make."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bnnbench.core.arguments import instance_of
from bnnbench.errors import ConfigError, closest
from bnnbench.matrix.config import Config, Pattern, Variant
from bnnbench.matrix.radii import has_radius, number_of
from bnnbench.matrix.source import KeyPath, shown
from bnnbench.matrix.specs import CellSpec, FitSpec, key_of
from bnnbench.plugins.described import described
from bnnbench.plugins.kinds import CELL_KINDS, KIND


@dataclass(frozen=True)
class Plan:
    """The cells of a matrix in the order of the file, and the fits that they share."""

    config: Config
    cells: list[CellSpec]
    only: tuple[str, ...] = ()
    """The words that `restricted` selected the cells by."""

    @functools.cached_property
    def fits(self) -> dict[str, FitSpec]:
        """The fits by key, each once, in the order of the file; a fit stands behind those that it is made of."""
        fits: dict[str, FitSpec] = {}
        for cell in self.cells:
            for fit in cell.needs:
                _add_with_needed(fit, fits)
        return fits

    @functools.cached_property
    def asking(self) -> dict[str, CellSpec]:
        """The first cell of each fit by the fit's key; for a fit without cells, the first that needs it."""
        asking: dict[str, CellSpec] = {}
        for cell in self.cells:
            asking.setdefault(cell.fit.key, cell)
        for cell in self.cells:
            needed: dict[str, FitSpec] = {}
            for fit in cell.needs:
                _add_with_needed(fit, needed)
            for key in needed:
                asking.setdefault(key, cell)
        return asking

    @functools.cached_property
    def tasks(self) -> dict[str, list[list[CellSpec]]]:
        """The cells of each fit by the fit's key, in groups that one task computes; cells of one key appear once.

        Cells of an attack that differ only in the norm and radius of the threat are one group.
        """
        return {key: list(_groups(cells)) for key, cells in self._cells_of_fits.items()}

    @functools.cached_property
    def _cells_of_fits(self) -> dict[str, list[CellSpec]]:
        """The cells of each fit by the fit's key; of cells with equal keys, the first."""
        cells: dict[str, dict[str, CellSpec]] = {key: {} for key in self.fits}
        for cell in self.cells:
            cells[cell.fit.key].setdefault(cell.key, cell)
        return {fit: list(by_key.values()) for fit, by_key in cells.items()}


def _add_with_needed(fit: FitSpec, fits: dict[str, FitSpec]) -> None:
    """Add a fit to fits by key, after those that it is made of."""
    if fit.key not in fits:
        for other in fit.needs:
            _add_with_needed(other, fits)
        fits[fit.key] = fit


def _groups(cells: Iterable[CellSpec]) -> Iterator[list[CellSpec]]:
    """The cells of one fit in groups that one task computes, ordered by the first cell of each."""
    alike: dict[str, list[list[CellSpec]]] = {}
    order: list[list[CellSpec]] = []
    for cell in cells:
        groups = alike.setdefault(key_of({**cell.identity, "threat": None}), [])
        group = next((group for group in groups if group[0].joins(cell)), None)
        if group is None:
            group = []
            groups.append(group)
            order.append(group)
        group.append(cell)
    yield from order


def make_plan(config: Config) -> Plan:
    """The plan of a checked benchmarks file, with its patterns applied.

    Raises `ConfigError` if a pattern matches no cell, or if no cell is left.
    """
    matched = {pattern.path: False for pattern in (*config.include, *config.exclude)}
    kept = []
    for cell in _candidates(config):
        included = [pattern for pattern in config.include if _matches(pattern, cell)]
        excluded = [pattern for pattern in config.exclude if _matches(pattern, cell)]
        matched |= {pattern.path: True for pattern in (*included, *excluded)}
        if (included or not config.include) and not excluded:
            kept.append(cell.spec)
    _check_matched(config, matched)
    if not kept:
        raise ConfigError([f"{config.path}: include and exclude leave no cell"])
    return Plan(config, kept)


def _check_matched(config: Config, matched: dict[KeyPath, bool]) -> None:
    """Raise `ConfigError` if some pattern has matched no cell."""
    source = config.source
    for pattern in (*config.include, *config.exclude):
        if not matched[pattern.path]:
            wanted = ", ".join(
                f"{key}: {'|'.join(shown(value) for value in values)}" for key, values in pattern.wanted.items()
            )
            source.problem(pattern.path, f"the pattern {{{wanted}}} matches no cell")
    source.raise_problems()


def restricted(plan: Plan, only: str | Iterable[str]) -> Plan:
    """The plan with only the cells that every word of `only` selects; a text is one word.

    A word selects the cells that have it as a label, with or without swept values, or as the radius of their threat
    (`0.05`, `8/255`). Raises `ConfigError` if no cell is left, and `TypeError` for what is no word.
    """
    if not isinstance(only, Iterable):
        raise TypeError(f"only is words, such as ['pgd', '0.1'], not {described(only)}")
    given = [only] if isinstance(only, str) else only
    words = [instance_of(word, str, argument="each of only", meant="a label or a radius as text") for word in given]
    cells = [cell for cell in plan.cells if all(_is_selected(cell, word) for word in words)]
    if not cells:
        raise ConfigError([f"bnnbench: --only {' --only '.join(words)}: {_why_none(plan, words)}"])
    return Plan(plan.config, cells, tuple(words))


def _why_none(plan: Plan, words: Sequence[str]) -> str:
    """Why no cell is selected by all words: one of them selects none alone, or they do not meet in a cell."""
    labels = [label.partition("@")[0] for labels in zip(*map(_labels, plan.cells), strict=True) for label in labels]
    labels = list(dict.fromkeys(labels))
    known = list(dict.fromkeys([*labels, *(cell.epsilon_text for cell in plan.cells if cell.threat)]))
    for word in words:
        if not any(_is_selected(cell, word) for cell in plan.cells):
            close = closest(word, labels)
            hint = f"; did you mean '{close}'?" if close else ""
            return f"no cell has the label or radius '{word}'{hint} (there are {', '.join(known)})"
    return f"no cell has these labels and radii together (there are {', '.join(known)})"


def _labels(cell: CellSpec) -> tuple[str, str, str, str]:
    return cell.dataset, cell.network, cell.posterior, cell.label


def _is_selected(cell: CellSpec, word: str) -> bool:
    """Whether a word of `--only` is a label of a cell, or its radius."""
    return any(word in (label, label.partition("@")[0]) for label in _labels(cell)) or has_radius(cell, word)


@dataclass(frozen=True)
class _Candidate:
    """A cell before patterns are applied, and the variant of each kind that it is made of."""

    spec: CellSpec
    variants: dict[str, Variant]


def _candidates(config: Config) -> Iterator[_Candidate]:
    """Every combination of components, seeds and threats, in the order of the file."""
    evaluate, variants = config.settings.evaluate, config.variants
    for dataset, network, posterior, seed in itertools.product(
        variants["dataset"], variants["network"], variants["posterior"], config.settings.seeds
    ):
        fit = FitSpec(dataset.component, network.component, posterior.component, seed)
        labels = {"dataset": dataset, "network": network, "posterior": posterior}
        for kind in CELL_KINDS:
            threats = dataset.threats or () if kind.needs_threat else (None,)
            for written, measured in itertools.product(threats, variants[kind.name]):
                spec = CellSpec(
                    **{name: variant.name for name, variant in labels.items()},
                    label=measured.name,
                    fit=fit,
                    component=measured.component,
                    threat=written.threat if written else None,
                    images=evaluate.images,
                    draws=evaluate.draws,
                    keep=evaluate.keep,
                    radius=written.radius if written else "",
                    allow_whole_box=bool(written and written.allow_whole_box),
                )
                yield _Candidate(spec, {**labels, kind.name: measured})


def _matches(pattern: Pattern, cell: _Candidate) -> bool:
    """Whether each key of a pattern lists the cell's label, swept label, seed, epsilon or norm."""
    for key, wanted in pattern.wanted.items():
        variant = cell.variants.get(key)
        if variant is not None:
            values: list[Any] = [variant.label, variant.name]
        elif key == "seed":
            values = [cell.spec.seed]
        else:
            # The cell has no component of this kind, or no threat: nothing can match.
            values = [] if key in KIND or cell.spec.threat is None else [getattr(cell.spec.threat, key)]
        numbers = map(number_of, wanted) if key == "epsilon" else wanted
        if not any(value in values and not isinstance(value, bool) for value in numbers):
            return False
    return True
