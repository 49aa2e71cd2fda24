"""The registry: look up components by kind and name, and make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bnnbench.errors import ParameterError, PluginError, UnknownComponent, closest
from bnnbench.plugins.described import with_article
from bnnbench.plugins.kinds import KIND
from bnnbench.plugins.registrar import Entry


@dataclass(frozen=True)
class Quarantined:
    """A plugin that could not be loaded: its entry point, distribution, version and the reason."""

    plugin: str
    distribution: str
    version: str
    reason: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' ({self.distribution} {self.version}) could not be loaded: {self.reason}"


class Registry:
    """All components of the loaded plugins, and the plugins in quarantine."""

    def __init__(self, entries: Sequence[Entry], quarantined: Sequence[Quarantined] = ()) -> None:
        order = {kind: place for place, kind in enumerate(KIND)}
        self.entries = sorted(
            _distinct(entries), key=lambda entry: (order[entry.kind], entry.name, entry.distribution, entry.plugin)
        )
        self.quarantined = list(quarantined)

    def names(self, kind: str) -> list[str]:
        """The names registered for a kind, sorted, each once."""
        return sorted({entry.name for entry in self.entries if entry.kind == kind})

    def choices(self, kind: str) -> list[str]:
        """The shortest texts from which `find` takes the components of a kind, sorted."""
        providers: dict[str, set[str]] = {}
        for entry in self.entries:
            if entry.kind == kind:
                providers.setdefault(entry.name, set()).add(entry.distribution)
        return [
            name if len(providers[name]) == 1 else f"{distribution}:{name}"
            for name in sorted(providers)
            for distribution in sorted(providers[name])
        ]

    def find(self, kind: str, name: str) -> Entry:
        """The entry of a kind and name. `distribution:name` chooses between distributions that share a name.

        Raises `UnknownComponent` if there is no such entry or more than one. The message has the most similar name and
        every plugin that could not be loaded.
        """
        distribution, _, bare = name.rpartition(":")
        matching = [
            entry
            for entry in self.entries
            if entry.kind == kind and entry.name == bare and distribution in ("", entry.distribution)
        ]
        if not matching:
            raise UnknownComponent(f"no {kind} named '{name}'{self._hint(kind, bare)}")
        choices = list(dict.fromkeys(f"'{entry.distribution}:{bare}'" for entry in matching))
        if len(choices) > 1:
            raise UnknownComponent(f"{len(choices)} distributions provide the {kind} '{bare}': write {_or(choices)}")
        if len(matching) > 1:
            raise UnknownComponent(_ambiguous(matching))
        return matching[0]

    def _hint(self, kind: str, name: str) -> str:
        """The end of a message about an unknown name: what may have been meant, and what could not be loaded."""
        close = closest(name, self.names(kind))
        hint = f"; did you mean '{close}'?" if close else f" (installed: {', '.join(self.names(kind)) or 'none'})"
        others = [entry for entry in self.entries if entry.name.lower() == name.lower() and entry.kind != kind]
        if others:
            hint += f"; '{others[0].name}' is {with_article(others[0].kind)}"
        if name.endswith(".py"):
            hint += f"; a class of a file is written as '{name}:Name'"
        return hint + "".join(f"; {broken}" for broken in self.quarantined)

    def create(self, kind: str, name: str, parameters: dict[str, Any]) -> Any:
        """A component of that kind and name with these parameters.

        Raises `UnknownComponent` and `PluginError` as `find` and `Entry.load` do, and `ParameterError` with a message
        for each wrong parameter.
        """
        return made(self.find(kind, name).load(), parameters, f"{kind} {name}")

    def recipe(self, kind: str, component: Any) -> dict[str, Any] | None:
        """The JSON object from which `create` makes an equal component; None if its class is not registered.

        `use` is `distribution:name`, and `parameters` are the component's.
        """
        entry = self.entry_of(kind, type(component))
        if entry is None:
            return None
        return {"use": f"{entry.distribution}:{entry.name}", "parameters": component.model_dump(mode="json")}

    def entry_of(self, kind: str, cls: type) -> Entry | None:
        """The first entry of a kind whose class this is; None if the class is not registered."""
        known = (cls, f"{cls.__module__}:{cls.__qualname__}")
        return next((entry for entry in self.entries if entry.kind == kind and entry.target in known), None)


def _distinct(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without those of a class that an earlier one has under the same name, of the same distribution.

    A distribution may register a class through several of its entry points, or by several texts: the module that
    defines the class, and one that imports it. Classes are imported only where entries have the same name.
    """
    found: dict[tuple[str, str, str], dict[str, Entry]] = {}
    for entry in entries:
        same = found.setdefault((entry.kind, entry.name, entry.distribution), {})
        same.setdefault(entry.target_name, entry)
    distinct = []
    for same in found.values():
        classes = {entry if len(same) == 1 else _class_of(entry): entry for entry in reversed(same.values())}
        distinct += list(classes.values())[::-1]
    return distinct


def _class_of(entry: Entry) -> Any:
    """The class of an entry, or the entry itself if the class cannot be imported."""
    try:
        return entry.load()
    except PluginError:
        return entry


def _ambiguous(entries: Sequence[Entry]) -> str:
    """The message about several classes that one distribution registers under one name."""
    plugins = [entry.plugin for entry in entries]
    first, classes = entries[0], _or([f"{entry.target_name} (plugin '{entry.plugin}')" for entry in entries], "and")
    told = f"{first.distribution} registers several classes as the {first.kind} '{first.name}': {classes}"
    if len(set(plugins)) < len(plugins):
        return f"{told}; its author must give them different names"
    return f"{told}; leave plugins out with {_or([f'--block {plugin}' for plugin in plugins])} or BNNBENCH_BLOCK"


def _or(choices: Sequence[str], word: str = "or") -> str:
    """A list in words: `a, b or c`."""
    return f" {word} ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))


def made(model: Any, parameters: Mapping[str, Any], name: str, context: Mapping[str, Any] | None = None) -> Any:
    """A component of a class with these parameters, validated with pydantic's `context` if one is given.

    Raises `ParameterError` with a message for each wrong parameter, which begins with `name`.
    """
    from pydantic import ValidationError

    from bnnbench.plugins.described import refusals

    try:
        return model.model_validate(dict(parameters), context=context)
    except ValidationError as error:
        raise ParameterError(f"{name}: {refusals(error, list(model.model_fields))}") from None
