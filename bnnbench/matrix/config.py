"""A benchmarks file, read and checked whole before anything runs."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from bnnbench.core.component import Component
from bnnbench.core.module_file import ModuleFile
from bnnbench.core.threat import Threat
from bnnbench.errors import ConfigError, DataError, PluginError, UnknownComponent, clean, closest, one_line
from bnnbench.matrix.settings import COMPONENTS, FIRST_COLUMN, LAST_COLUMN, PATTERNS, Settings
from bnnbench.matrix.source import Path_, Source, did_you_mean, dotted, shown
from bnnbench.plugins.registry import NAME, registry

MAX_CELLS = 100_000
PATTERN_KEYS = ("dataset", "network", "posterior", "attack", "epsilon", "norm", "seed")
_FILE = re.compile(r"(?P<path>.+\.py):(?P<name>\w+)")


@dataclass(frozen=True)
class Variant:
    """One component of the matrix: `label` as written, `name` with its swept values (`nuts@max_tree_depth=5`)."""

    label: str
    name: str
    component: Any
    threats: tuple[Threat, ...] | None = None


@dataclass(frozen=True)
class Pattern:
    """A pattern of `include` or `exclude`: for each key the values that match."""

    wanted: dict[str, list[Any]]
    path: Path_


@dataclass(frozen=True)
class Config:
    """A checked benchmarks file."""

    path: Path
    settings: Settings
    datasets: list[Variant]
    networks: list[Variant]
    posteriors: list[Variant]
    attacks: list[Variant]
    include: list[Pattern]
    exclude: list[Pattern]
    source: Source


def read_config(path: str | Path, max_cells: int = MAX_CELLS, text: str | None = None) -> Config:
    """Read and check a benchmarks file; raises `ConfigError` with one line for each problem found in it.

    `text` stands for its content, if it is given: the path then only says where relative paths begin.
    """
    source = Source(path, text)
    return _Reader(source, max_cells).read()


class _Reader:
    def __init__(self, source: Source, max_cells: int) -> None:
        self.source, self.max_cells = source, max_cells

    def read(self) -> Config:
        source = self.source
        top = source.mapping((), source.values)
        source.unknown_keys((), top, [*Settings.model_fields, *COMPONENTS, *PATTERNS])
        settings = self._settings(top)
        threats = self._threats((), top, settings)
        self._count(top, settings)
        sections = {name: self._section(name, kind, top, settings) for name, kind in COMPONENTS.items()}
        patterns = {name: self._patterns(name, top) for name in PATTERNS}
        asked = any(top.get(key) is not None for key in ("epsilons", "threats"))
        if not threats and not asked and any(variant.threats is None for variant in sections["datasets"]):
            source.problem((), "no epsilons: say how far an attacker may move, e.g. epsilons: [0.1]")
        source.raise_problems()
        datasets = [
            variant if variant.threats is not None else Variant(variant.label, variant.name, variant.component, threats)
            for variant in sections.pop("datasets")
        ]
        self._check_size(settings, datasets, *sections.values())
        return Config(
            path=source.path,
            settings=settings,
            datasets=datasets,
            networks=sections["networks"],
            posteriors=sections["posteriors"],
            attacks=sections["attacks"],
            include=patterns["include"],
            exclude=patterns["exclude"],
            source=source,
        )

    def _count(self, top: dict[str, Any], settings: Settings) -> None:
        """Raise `ConfigError` for a matrix that is too large before any component of it is made."""
        cells = len(settings.seeds)
        for name in COMPONENTS:
            section = top.get(name)
            labels = section.values() if isinstance(section, dict) else ()
            cells *= max(1, sum(_combinations(written) for written in labels))
        if cells > self.max_cells:
            self._refuse(f"at least {cells} cells")

    def _refuse(self, size: str) -> NoReturn:
        raise ConfigError([f"{self.source.path}: {size}, more than {self.max_cells} (--max-cells)"])

    def _settings(self, top: dict[str, Any]) -> Settings:
        own = {key: value for key, value in top.items() if key in Settings.model_fields and value is not None}
        try:
            return Settings.model_validate(own)
        except ValidationError as error:
            self._validation_problems((), error, Settings, "there is no key")
            return Settings()

    def _threats(self, path: Path_, mapping: dict[str, Any], settings: Settings) -> tuple[Threat, ...] | None:
        """The threats that a mapping lists: `epsilons` are linf balls, `threats` say the norm themselves."""
        wanted = {key: mapping[key] for key in ("epsilons", "threats") if mapping.get(key) is not None}
        if not wanted:
            return None
        try:
            found = Settings.model_validate(wanted)
        except ValidationError as error:
            if path:
                self._validation_problems(path, error, Settings, f"{dotted(path)} has no key")
            return None
        stream: dict[str, Any] = {"stream": settings.evaluate.stream, "attack_draws": settings.evaluate.attack_draws}
        threats = [Threat(epsilon=epsilon, **stream) for epsilon in found.epsilons or []]
        threats += [Threat(**threat.model_dump(), **stream) for threat in found.threats or []]
        if not threats:
            self.source.problem((*path, *wanted), f"{dotted((*path, next(iter(wanted))))} is empty")
        elif len(set(threats)) < len(threats):
            self.source.problem((*path, next(iter(wanted))), f"{dotted((*path, next(iter(wanted))))} repeats a value")
        return tuple(threats)

    def _section(self, name: str, kind: str, top: dict[str, Any], settings: Settings) -> list[Variant]:
        section = self.source.mapping((name,), top.get(name))
        # One mistake, one line: a section that is misspelt or no mapping has been told of already.
        written = top.get(name)
        misspelt = name not in top and any(closest(key, COMPONENTS) == name for key in top)
        if not section and not misspelt and (written is None or isinstance(written, dict)):
            self.source.problem((name,), f"{name} is empty: at least one {kind} is needed")
        variants = []
        for label, written in section.items():
            path = (name, label)
            if not NAME.fullmatch(label):
                self.source.problem(path, f"label '{clean(label)}' does not match {NAME.pattern}", at_key=True)
                continue
            if kind == "attack" and label in (FIRST_COLUMN, LAST_COLUMN):
                told = f"{dotted(path)}: '{label}' is a column of every table: give the attack another label"
                self.source.problem(path, told, at_key=True)
                continue
            parameters = dict(self.source.mapping(path, written))
            threats = self._threats(path, parameters, settings) if kind == "dataset" else None
            if kind == "dataset":
                parameters = {key: value for key, value in parameters.items() if key not in ("epsilons", "threats")}
            for swept, values in self._swept(path, parameters):
                component = self._component(path, kind, label, values, swept)
                if component is not None:
                    variants.append(Variant(label, _swept_name(label, swept), component, threats))
        return variants

    def _swept(self, path: Path_, parameters: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Each combination of swept values, with the parameters that it makes."""
        sweep = self.source.mapping((*path, "sweep"), parameters.pop("sweep", None))
        for key, values in list(sweep.items()):
            if not isinstance(values, list) or not values:
                self.source.problem((*path, "sweep", key), f"{dotted((*path, 'sweep', key))} must be a list of values")
                del sweep[key]
            elif any(value in values[:position] for position, value in enumerate(values)):
                self.source.problem((*path, "sweep", key), f"{dotted((*path, 'sweep', key))} repeats a value")
            elif len({_swept_value(value) for value in values}) < len(values):
                told = "has values that tables would call alike: give each a label of its own"
                self.source.problem((*path, "sweep", key), f"{dotted((*path, 'sweep', key))} {told}")
            elif key in parameters:
                self.source.problem(
                    (*path, "sweep", key), f"{dotted(path)} both sets and sweeps '{clean(key)}'", at_key=True
                )
        for combination in itertools.product(*sweep.values()):
            swept = dict(zip(sweep, combination, strict=True))
            yield swept, parameters | swept

    def _component(
        self, path: Path_, kind: str, label: str, parameters: dict[str, Any], swept: dict[str, Any]
    ) -> Component | None:
        parameters = dict(parameters)
        use = parameters.pop("use", label)
        at = (*path, "use")
        if not isinstance(use, str):
            self.source.problem(at, f"{dotted(at)} must be a name, not {shown(use)}")
            return None
        file = _FILE.fullmatch(use) if kind == "network" else None
        if file:
            parameters = {"path": file["path"], "name": file["name"], "arguments": parameters}
        try:
            model = ModuleFile if file else registry().find(kind, use).load()
            component = model.model_validate(parameters, context={"folder": str(self.source.path.parent)})
            # Its files, if it has any, are looked at now: a missing one is a mistake in this line.
            component.identity()
            return component
        except (UnknownComponent, PluginError, DataError, OSError) as error:
            self.source.problem(at, f"{dotted(path)}: {clean(str(error))}", at_key="use" not in self._written(path))
        except ValidationError as error:
            self._validation_problems(path, error, model, f"{dotted(path)}: {use} has no parameter", swept)
        except Exception as error:  # noqa: BLE001 - a plugin's own checks, or the file that it looks at
            told = f"{dotted(path)}: {clean(use)} raised {type(error).__name__}: {error}"
            self.source.problem(at, one_line(told), at_key="use" not in self._written(path))
        return None

    def _written(self, path: Path_) -> dict[str, Any]:
        """The mapping at a path, empty where there is none."""
        value = self.source.values
        for part in path:
            value = value[part]
        return value if isinstance(value, dict) else {}

    def _validation_problems(
        self,
        path: Path_,
        error: ValidationError,
        model: type[BaseModel],
        unknown: str,
        swept: dict[str, Any] | None = None,
    ) -> None:
        for detail in error.errors():
            location = tuple(part for part in detail["loc"] if isinstance(part, str | int))
            if model is ModuleFile and location[:1] == ("arguments",):
                location = location[1:2]  # They are written as parameters, and what pydantic makes of them is its own.
            inside = ("sweep",) if swept and location and location[0] in swept else ()
            where = (*path, *inside, *location)
            if detail["type"] == "extra_forbidden":
                known = _fields_at(model, location)
                subject = unknown if len(location) == 1 else f"{dotted(where[:-1])} has no key"
                text = f"{subject} '{clean(str(location[-1]))}'{did_you_mean(str(location[-1]), known)}"
                self.source.problem(where, text, at_key=True)
                continue
            message = _message(detail)
            plain = location and not isinstance(detail["input"], dict | list)
            value = f" is {shown(detail['input'])}" if plain else ""
            self.source.problem(where, f"{dotted((*path, *location))}{value}: {clean(message)}")

    def _patterns(self, name: str, top: dict[str, Any]) -> list[Pattern]:
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

    def _check_size(self, settings: Settings, datasets: list[Variant], *others: list[Variant]) -> None:
        threats = sum(len(variant.threats or ()) for variant in datasets)
        cells = threats * len(settings.seeds) * math.prod(len(section) for section in others)
        if cells > self.max_cells:
            self._refuse(f"{cells} cells")


def _combinations(written: Any) -> int:
    """How many variants a label makes, before anything of it is checked."""
    sweep = written.get("sweep") if isinstance(written, dict) else None
    values = sweep.values() if isinstance(sweep, dict) else ()
    return math.prod(max(1, len(one)) for one in values if isinstance(one, list))


def _message(detail: Any) -> str:
    """What is wrong with a value, in the words of the file rather than of Python."""
    given = detail["input"]
    if detail["type"] in ("list_type", "tuple_type"):
        return f"a list is meant, such as [{shown(given)}]" if isinstance(given, int | float) else "a list is meant"
    fraction = re.fullmatch(r"(\d+)/([1-9]\d*)", given) if isinstance(given, str) else None
    if fraction:
        return f"YAML has no fractions: write {int(fraction[1]) / int(fraction[2]):.4g}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _swept_name(label: str, swept: dict[str, Any]) -> str:
    if not swept:
        return label
    return f"{label}@" + ",".join(f"{key}={_swept_value(value)}" for key, value in swept.items())


def _swept_value(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(_swept_value(item) for item in value)
    if isinstance(value, bool | None):
        return {None: "none", True: "true", False: "false"}[value]
    return re.sub(r"[,=|\s]", "_", clean(str(value)))


def _fields_at(model: Any, location: Path_) -> list[str]:
    """The names that could have been meant where an unknown one stands, in a model with models inside."""
    for part in location[:-1]:
        annotation = model.model_fields[part].annotation if isinstance(part, str) else model
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        candidates += [inner for candidate in candidates for inner in getattr(candidate, "__args__", ())]
        model = next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), model)
    return list(model.model_fields)
