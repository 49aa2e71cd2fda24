"""The components of a benchmarks file by section and label, each made once, when it is first needed."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from bnnbench.core.component import Component
from bnnbench.core.component_use import used
from bnnbench.errors import DataError, PluginError, UnknownComponent, clean, message_of, one_line
from bnnbench.matrix.settings import SECTIONS
from bnnbench.matrix.source import KeyPath, Source, dotted, shown
from bnnbench.matrix.sweeps import expanded, swept_name
from bnnbench.matrix.validation import note_problems
from bnnbench.plugins.host_kept import host_kept
from bnnbench.plugins.signals import contained

_OF_THREATS = ("epsilons", "threats")
"""The keys of a data set's entry that are no parameters of it."""


@dataclass(frozen=True)
class Entry:
    """One component as a file writes it.

    `label` is its label, `name` the label with the swept values, `swept` these values, and `parameters` all of its
    parameters. `path` is the place of the label in the file.
    """

    kind: str
    path: KeyPath
    label: str
    parameters: dict[str, Any] = field(hash=False)
    swept: dict[str, Any] = field(hash=False)

    @property
    def name(self) -> str:
        """The label with the swept values."""
        return swept_name(self.label, self.swept)


class Sections:
    """The components of a file. Problems are noted in `source`, each once."""

    def __init__(self, source: Source, top: dict[str, Any]) -> None:
        self._source, self._top = source, top
        self._folder = source.path.parent
        self._made: dict[tuple[str, str], Component | None] = {}
        self._being_made: set[tuple[str, str]] = set()

    @functools.cached_property
    def _entries(self) -> dict[str, list[Entry]]:
        """The entries of the file by kind, sweeps expanded, in its order."""
        return {kind: self._read(section, kind) for section, kind in SECTIONS.items()}

    def entries(self, kind: str, label: str) -> list[Entry]:
        """The entries of a label: one for each combination of swept values."""
        return [entry for entry in self._entries[kind] if entry.label == label]

    def component(self, entry: Entry) -> Component | None:
        """The component of an entry; None if it is wrong, with the problem noted."""
        key = (entry.kind, entry.name)
        if key not in self._made:
            self._being_made.add(key)
            self._made[key] = self._new(entry)
            self._being_made.discard(key)
        return self._made[key]

    def labelled(self, kind: str, name: str) -> Component | None:
        """The component of this kind with a label, or a label with swept values; None if the file has no such label.

        Raises `ValueError` if the label stands for several components, for a wrong one, or for the one that asks.
        """
        found = [entry for entry in self._entries.get(kind, []) if name in (entry.label, entry.name)]
        if not found:
            return None
        if len(found) > 1:
            names = " or ".join(entry.name for entry in found)
            raise ValueError(f"'{name}' stands for {len(found)} components of this file: name one of them, {names}")
        (entry,) = found
        if (kind, entry.name) in self._being_made:
            raise ValueError(f"{dotted(entry.path)} is made of itself")
        component = self.component(entry)
        if component is None:
            raise ValueError(f"{dotted(entry.path)} is wrong")
        return component

    def labels(self, kind: str) -> list[str]:
        """The labels of a kind, in the order of the file."""
        return list(dict.fromkeys(entry.label for entry in self._entries.get(kind, [])))

    def _read(self, section: str, kind: str) -> list[Entry]:
        """The entries of a section."""
        entries = []
        for label, written in self._source.mapping((section,), self._top.get(section)).items():
            path = (section, label)
            parameters = dict(self._source.mapping(path, written))
            if kind == "dataset":
                parameters = {key: value for key, value in parameters.items() if key not in _OF_THREATS}
            entries += [
                Entry(kind, path, label, values, swept) for swept, values in expanded(self._source, path, parameters)
            ]
        return entries

    def _new(self, entry: Entry) -> Component | None:
        """The component of an entry, made anew; None if it is wrong, with the problem noted."""
        path, parameters = entry.path, dict(entry.parameters)
        use = parameters.pop("use", entry.label)
        at = (*path, "use")
        if not isinstance(use, str):
            self._source.problem(at, f"{dotted(at)} must be a name, not {shown(use)}")
            return None
        try:
            with contained(), host_kept():
                model, parameters = used(entry.kind, use, self._folder, parameters)
                context = {"folder": str(self._folder), "labelled": self.labelled, "labels": self.labels}
                component = model.model_validate(parameters, context=context)
                # Its files, if it has any, are looked at now: a missing one is a mistake in this line.
                component.identity()
            return component
        except (UnknownComponent, PluginError, DataError, OSError) as error:
            self._source.problem(
                at, f"{dotted(path)}: {clean(message_of(error))}", at_key="use" not in self._written(path)
            )
        except ValidationError as error:
            note_problems(self._source, path, error, model, f"{dotted(path)}: {use} has no parameter", entry.swept)
        except Exception as error:  # noqa: BLE001 - a plugin's own checks, or the file that it looks at
            told = f"{dotted(path)}: {clean(use)} raised {message_of(error)}"
            self._source.problem(at, one_line(told), at_key="use" not in self._written(path))
        return None

    def _written(self, path: KeyPath) -> dict[str, Any]:
        """The mapping at a path, empty where there is none."""
        value = self._source.values
        for part in path:
            value = value[part]
        return value if isinstance(value, dict) else {}
