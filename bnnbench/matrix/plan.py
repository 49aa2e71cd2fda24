"""From a checked benchmarks file to the fits and cells that it asks for."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bnnbench.core.attack import Attack
from bnnbench.core.chains import IndependentChains
from bnnbench.core.dataset import Dataset
from bnnbench.core.network import Network
from bnnbench.core.posterior import Posterior
from bnnbench.core.threat import Threat
from bnnbench.errors import ConfigError
from bnnbench.matrix.config import Config, Pattern, Variant
from bnnbench.matrix.source import shown

SCHEMA = 1
"""The store's format: part of every key."""
FRESH_REVISION = 2
"""Raised when outcomes under the stream `fresh` change: part of their keys."""


def key_of(identity: Any) -> str:
    """The sha256 of canonical JSON, in hexadecimal."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class FitSpec:
    """One fit: a posterior over a network's weights on a data set, at a seed."""

    dataset: Dataset
    network: Network
    posterior: Posterior
    seed: int

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """What the fit's key is made of."""
        return {
            "schema": SCHEMA,
            "kind": "fit",
            "dataset": self.dataset.identity(),
            "network": self.network.identity(),
            "posterior": self.posterior.identity(),
            "seed": self.seed,
        }

    @functools.cached_property
    def key(self) -> str:
        """The fit's key in the store."""
        return key_of(self.identity)

    @property
    def chains(self) -> int:
        """How many chains are tasks of their own: none where the fit is one task."""
        chains = self.posterior.chains if isinstance(self.posterior, IndependentChains) else 1
        return chains if chains > 1 else 0

    def chain_key(self, chain: int) -> str:
        """The key of one of its chains, kept until the fit is finished."""
        return f"{self.key}-{chain}"

    def chain_identity(self, chain: int) -> dict[str, Any]:
        """What the record of one of its chains says that it is."""
        return {**self.identity, "chain": chain}


@dataclass(frozen=True)
class CellSpec:
    """One cell: an attack on a fit under a threat. The labels and the order are the matrix's, not the outcome's."""

    dataset: str
    network: str
    posterior: str
    attack: str
    fit: FitSpec
    attacker: Attack
    threat: Threat
    images: int
    draws: int
    keep: Literal["few", "inputs"]

    @property
    def seed(self) -> int:
        """The matrix seed."""
        return self.fit.seed

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """What the cell's key is made of. The box is the data set's, so the threat is taken without it."""
        threat = {
            name: getattr(self.threat, name) for name in ("epsilon", "norm", "stream", "attack_draws", "access", "goal")
        }
        evaluation: dict[str, Any] = {"images": self.images, "draws": self.draws}
        if self.keep != "few":
            evaluation["keep"] = self.keep
        if self.threat.stream == "fresh":
            evaluation["revision"] = FRESH_REVISION
        return {
            "schema": SCHEMA,
            "fit": self.fit.key,
            "kind": "attack",
            "attack": self.attacker.identity(),
            "threat": threat,
            "evaluation": evaluation,
            "seed": self.seed,
        }

    @functools.cached_property
    def key(self) -> str:
        """The cell's key in the store."""
        return key_of(self.identity)

    @property
    def name(self) -> str:
        """How the cell is called in front of people."""
        return f"{self.dataset} {self.network} {self.posterior} {self.attack} eps {self.threat.epsilon:g}"


@dataclass(frozen=True)
class Plan:
    """The cells of a matrix in the order of the file, and the fits that they share."""

    config: Config
    cells: list[CellSpec]
    only: tuple[str, ...] = ()
    """The words that `restricted` has kept them by."""

    @functools.cached_property
    def fits(self) -> dict[str, FitSpec]:
        """Each fit once, by key, in the order of the file."""
        return {cell.fit.key: cell.fit for cell in self.cells}

    @functools.cached_property
    def tasks(self) -> dict[str, list[list[CellSpec]]]:
        """For each fit, its cells in groups that one attack does at once: they differ in norm and epsilon alone."""
        grouped: dict[str, dict[str, dict[str, CellSpec]]] = {key: {} for key in self.fits}
        for cell in self.cells:
            identity = {**cell.identity, "threat": {**cell.identity["threat"], "epsilon": None, "norm": None}}
            grouped[cell.fit.key].setdefault(key_of(identity), {}).setdefault(cell.key, cell)
        return {key: [list(group.values()) for group in groups.values()] for key, groups in grouped.items()}


def make_plan(config: Config) -> Plan:
    """The plan of a benchmarks file. Raises `ConfigError` for a pattern that matches nothing, or no cell at all."""
    cells = list(_cells(config))
    matched = {pattern.path: False for pattern in (*config.include, *config.exclude)}
    kept = []
    for cell in cells:
        included = [pattern for pattern in config.include if _matches(pattern, cell)]
        excluded = [pattern for pattern in config.exclude if _matches(pattern, cell)]
        matched |= {pattern.path: True for pattern in (*included, *excluded)}
        if (included or not config.include) and not excluded:
            kept.append(cell.spec)
    source = config.source
    for pattern in (*config.include, *config.exclude):
        if not matched[pattern.path]:
            wanted = ", ".join(
                f"{key}: {'|'.join(shown(value) for value in values)}" for key, values in pattern.wanted.items()
            )
            source.problem(pattern.path, f"the pattern {{{wanted}}} matches no cell")
    source.raise_problems()
    if not kept:
        raise ConfigError([f"{config.path}: include and exclude leave no cell"])
    return Plan(config, kept)


def restricted(plan: Plan, only: Iterable[str]) -> Plan:
    """The plan's cells that have, for each of the words, a label equal to it. Raises `ConfigError` if none is left."""
    words = list(only)
    cells = [
        cell
        for cell in plan.cells
        if all(
            any(
                word in (name, name.partition("@")[0])
                for name in (cell.dataset, cell.network, cell.posterior, cell.attack)
            )
            for word in words
        )
    ]
    if not cells:
        kinds = ("dataset", "network", "posterior", "attack")
        labels = dict.fromkeys(getattr(cell, kind).partition("@")[0] for kind in kinds for cell in plan.cells)
        told = f"--only {' --only '.join(words)}: no cell has these labels together (there are {', '.join(labels)})"
        raise ConfigError([f"bnnbench: {told}"])
    return Plan(plan.config, cells, tuple(words))


@dataclass(frozen=True)
class _Candidate:
    spec: CellSpec
    variants: dict[str, Variant]


def _cells(config: Config) -> Iterator[_Candidate]:
    settings = config.settings
    evaluate = settings.evaluate
    for dataset, network, posterior, seed in itertools.product(
        config.datasets, config.networks, config.posteriors, settings.seeds
    ):
        fit = FitSpec(dataset.component, network.component, posterior.component, seed)
        for threat, attack in itertools.product(dataset.threats or (), config.attacks):
            labels = {"dataset": dataset, "network": network, "posterior": posterior, "attack": attack}
            names = {kind: variant.name for kind, variant in labels.items()}
            spec = CellSpec(
                **names,
                fit=fit,
                attacker=attack.component,
                threat=threat,
                images=evaluate.images,
                draws=evaluate.draws,
                keep=evaluate.keep,
            )
            yield _Candidate(spec, labels)


def _matches(pattern: Pattern, cell: _Candidate) -> bool:
    for key, wanted in pattern.wanted.items():
        variant = cell.variants.get(key)
        if variant is not None:
            found: list[Any] = [variant.label, variant.name]
        elif key == "seed":
            found = [cell.spec.seed]
        else:
            found = [getattr(cell.spec.threat, key)]
        if not any(value in found and not isinstance(value, bool) for value in wanted):
            return False
    return True
