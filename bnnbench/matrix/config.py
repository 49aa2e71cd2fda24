"""The content of a checked benchmarks file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnnbench.core.threat import Threat
from bnnbench.matrix.settings import Settings
from bnnbench.matrix.source import KeyPath, Source
from bnnbench.plugins.kinds import KINDS

MAX_CELLS = 100_000
"""The default limit on the cells of a matrix."""
PATTERN_KEYS = (*(kind.name for kind in KINDS if kind.section), "epsilon", "norm", "seed")
"""The keys that a pattern of `include` or `exclude` may have."""


@dataclass(frozen=True)
class WrittenThreat:
    """A threat as a file writes it. `radius` is its radius as text, and `path` the place of the radius in the file.

    `allow_whole_box` says whether its ball may hold the whole box of the data.
    """

    threat: Threat
    radius: str
    allow_whole_box: bool
    path: KeyPath


@dataclass(frozen=True)
class Variant:
    """One component of the matrix.

    `label` is the label in the file, and `name` is the label with the swept values (`nuts@max_tree_depth=5`).
    `threats` are set for data sets alone: None if the data set has none of its own.
    """

    label: str
    name: str
    component: Any
    threats: tuple[WrittenThreat, ...] | None = None


@dataclass(frozen=True)
class Pattern:
    """A pattern of `include` or `exclude`: for each key, the values that match. `path` is its place in the file."""

    wanted: dict[str, list[Any]]
    path: KeyPath


@dataclass(frozen=True)
class Config:
    """A checked benchmarks file.

    `variants` maps each kind that has a section to the components of the section. `source` finds lines for messages.
    """

    path: Path
    settings: Settings
    variants: dict[str, list[Variant]]
    include: list[Pattern]
    exclude: list[Pattern]
    source: Source
