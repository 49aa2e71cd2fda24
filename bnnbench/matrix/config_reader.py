"""Read a benchmarks file and check all of it before anything runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from bnnbench.errors import ConfigError, clean, closest
from bnnbench.matrix.config import MAX_CELLS, PATTERN_KEYS, Config, Pattern, Variant, WrittenThreat
from bnnbench.matrix.radii import written_threats
from bnnbench.matrix.sections import Sections
from bnnbench.matrix.settings import COLUMNS, NEEDED, PATTERNS, SECTIONS, Settings
from bnnbench.matrix.source import KeyPath, Source, dotted, shown
from bnnbench.matrix.sweeps import number_of_variants
from bnnbench.matrix.validation import note_problems
from bnnbench.plugins.kinds import CELL_KINDS
from bnnbench.plugins.registrar import NAME


def read_config(path: str | Path, max_cells: int = MAX_CELLS, text: str | None = None) -> Config:
    """The checked benchmarks file at `path`.

    If `text` is given it is read in place of the file's content; relative paths still start at the folder of `path`.
    Raises `ConfigError`, with one line for each problem, if the file is wrong or its matrix has more than `max_cells`
    cells.
    """
    return Reader(Source(path, text), max_cells).read()


class Reader:
    """Reads and checks one file. Problems are collected, each with its line, and raised together."""

    def __init__(self, source: Source, max_cells: int) -> None:
        self.source, self.max_cells = source, max_cells

    def read(self) -> Config:
        """The checked file. Raises `ConfigError` with all problems found."""
        source = self.source
        top = self._top()
        source.unknown_keys((), top, [*Settings.model_fields, *SECTIONS, *PATTERNS])
        settings = self._settings(top)
        threats = self._threats((), top, settings)
        self._check_least_size(top, settings)
        sections = Sections(source, top)
        variants = {kind: self._section(name, kind, top, settings, sections) for name, kind in SECTIONS.items()}
        patterns = {name: self._patterns(name, top) for name in PATTERNS}
        self._check_threats(top, threats, variants)
        source.raise_problems()
        variants["dataset"] = [
            variant if variant.threats is not None else replace(variant, threats=threats)
            for variant in variants["dataset"]
        ]
        self._check_size(settings, variants)
        return Config(source.path, settings, variants, patterns["include"], patterns["exclude"], source)

    def _top(self) -> dict[str, Any]:
        """The mapping that the file is. Raises `ConfigError` with one line if it is empty, or something else."""
        needed = f"{', '.join(NEEDED)} and {', '.join(_MAKING[:-1])} or {_MAKING[-1]}"
        if self.source.values in (None, {}):
            raise ConfigError([f"{self.source.path}: the file is empty: it needs {needed}"])
        if not isinstance(self.source.values, dict):
            given = shown(self.source.values)
            raise ConfigError([f"{self.source.path}: the file must be a mapping with {needed}, not {given}"])
        return self.source.values

    def _check_threats(
        self, top: dict[str, Any], threats: tuple[WrittenThreat, ...] | None, variants: dict[str, list[Variant]]
    ) -> None:
        """Note a problem if some measurement needs threats and some data set has none."""
        needed = any(variants[kind.name] for kind in CELL_KINDS if kind.needs_threat)
        asked = any(top.get(key) is not None for key in ("epsilons", "threats"))
        if needed and not threats and not asked and any(variant.threats is None for variant in variants["dataset"]):
            self.source.problem((), "no epsilons: say how far an attacker may move, e.g. epsilons: [0.1]")

    def _check_least_size(self, top: dict[str, Any], settings: Settings) -> None:
        """Raise `ConfigError` if the matrix is too large even with one threat; no component is made for this."""
        cells = len(settings.seeds)
        sizes = {name: number_of_variants(top.get(name)) for name in SECTIONS}
        for name in NEEDED:
            cells *= max(1, sizes.pop(name))
        cells *= max(1, sum(sizes.values()))
        if cells > self.max_cells:
            self._refuse(f"at least {cells} cells")

    def _refuse(self, size: str) -> NoReturn:
        raise ConfigError([f"{self.source.path}: {size}, more than {self.max_cells} (--max-cells)"])

    def _settings(self, top: dict[str, Any]) -> Settings:
        """The settings of the file; the default ones, and problems noted, if any is wrong."""
        written = {key: value for key, value in top.items() if key in Settings.model_fields and value is not None}
        try:
            return Settings.model_validate(written)
        except ValidationError as error:
            note_problems(self.source, (), error, Settings, "there is no key")
            return Settings()

    def _threats(self, path: KeyPath, mapping: dict[str, Any], settings: Settings) -> tuple[WrittenThreat, ...] | None:
        """The threats of a mapping's `epsilons` (linf balls) and `threats`; None if it has neither, or wrong ones."""
        wanted = {key: mapping[key] for key in ("epsilons", "threats") if mapping.get(key) is not None}
        if not wanted:
            return None
        try:
            listed = Settings.model_validate(wanted)
        except ValidationError as error:
            if path:  # Problems at the top level have been noted with the settings.
                note_problems(self.source, path, error, Settings, f"{dotted(path)} has no key")
            return None
        threats = list(written_threats(path, wanted, listed, settings.evaluate))
        place = (*path, next(iter(wanted)))
        if not threats:
            self.source.problem(place, f"{dotted(place)} is empty")
        elif len({written.threat for written in threats}) < len(threats):
            self.source.problem(place, f"{dotted(place)} repeats a value")
        return tuple(threats)

    def _section(
        self, name: str, kind: str, top: dict[str, Any], settings: Settings, sections: Sections
    ) -> list[Variant]:
        """The components of a section, sweeps expanded; those that are wrong are noted as problems and left out."""
        section = self.source.mapping((name,), top.get(name))
        # A section that is misspelt or is no mapping has been noted already.
        written = top.get(name)
        misspelt = name not in top and any(closest(key, SECTIONS) == name for key in top)
        if not section and not misspelt and (written is None or isinstance(written, dict)) and _is_needed(name, top):
            self.source.problem((name,), f"{name} is empty: at least one {kind} is needed")
        variants = []
        for label, written in section.items():
            path = (name, label)
            if not NAME.fullmatch(label):
                self.source.problem(path, f"label '{clean(label)}' does not match {NAME.pattern}", at_key=True)
                continue
            if kind == "attack" and label in COLUMNS:
                problem = f"{dotted(path)}: '{label}' is a column of tables: give the attack another label"
                self.source.problem(path, problem, at_key=True)
                continue
            threats = None
            if kind == "dataset" and isinstance(written, dict):
                threats = self._threats(path, written, settings)
            for entry in sections.entries(kind, label):
                component = sections.component(entry)
                if component is not None:
                    variants.append(Variant(label, entry.name, component, threats))
        return variants

    def _patterns(self, name: str, top: dict[str, Any]) -> list[Pattern]:
        """The patterns of `include` or `exclude`."""
        written = [] if top.get(name) is None else top[name]
        if not isinstance(written, list):
            self.source.problem((name,), f"{name} must be a list of patterns, not {shown(written)}")
            return []
        patterns = []
        for position, pattern in enumerate(written):
            path = (name, position)
            if not isinstance(pattern, dict) or not pattern:
                self.source.problem(path, f"{dotted(path)} must be a mapping such as {{dataset: digits}}")
                continue
            self.source.unknown_keys(path, pattern, PATTERN_KEYS)
            patterns.append(
                Pattern({key: value if isinstance(value, list) else [value] for key, value in pattern.items()}, path)
            )
        return patterns

    def _check_size(self, settings: Settings, variants: dict[str, list[Variant]]) -> None:
        """Raise `ConfigError` if the matrix has too many cells, `include` and `exclude` left aside."""
        fits = len(settings.seeds) * len(variants["network"]) * len(variants["posterior"])
        threats = sum(len(variant.threats or ()) for variant in variants["dataset"])
        cells = sum(
            fits * len(variants[kind.name]) * (threats if kind.needs_threat else len(variants["dataset"]))
            for kind in CELL_KINDS
        )
        if cells > self.max_cells:
            self._refuse(f"{cells} cells")


_MAKING = [kind.section for kind in CELL_KINDS if kind.section]
"""The sections of components that make cells."""


def _is_needed(section: str, top: dict[str, Any]) -> bool:
    """Whether an empty section is reported. If all sections that make cells are empty, the first of them is."""
    if section in NEEDED:
        return True
    return section == _MAKING[0] and not any(top.get(name) for name in _MAKING)
