"""The registry: look up components by kind and name, and make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bnnbench.errors import ParameterError, UnknownComponent, closest
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
        self.entries = sorted(entries, key=lambda entry: (list(KIND).index(entry.kind), entry.name, entry.distribution))
        self.quarantined = list(quarantined)

    def names(self, kind: str) -> list[str]:
        """The names registered for a kind, sorted, each once."""
        return sorted({entry.name for entry in self.entries if entry.kind == kind})

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
        if len(matching) == 1:
            return matching[0]
        if matching:
            choices = " or ".join(f"'{entry.distribution}:{bare}'" for entry in matching)
            raise UnknownComponent(f"two distributions provide the {kind} '{bare}': write {choices}")
        raise UnknownComponent(f"no {kind} named '{name}'{self._hint(kind, bare)}")

    def _hint(self, kind: str, name: str) -> str:
        """The end of a message about an unknown name: what may have been meant, and what could not be loaded."""
        close = closest(name, self.names(kind))
        hint = f"; did you mean '{close}'?" if close else f" (installed: {', '.join(self.names(kind)) or 'none'})"
        others = [entry.kind for entry in self.entries if entry.name == name and entry.kind != kind]
        if others:
            hint += f"; '{name}' is a {others[0]}"
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
        target = type(component)
        for entry in self.entries:
            if entry.kind == kind and entry.target in (target, f"{target.__module__}:{target.__qualname__}"):
                return {"use": f"{entry.distribution}:{entry.name}", "parameters": component.model_dump(mode="json")}
        return None


def made(model: Any, parameters: Mapping[str, Any], name: str, context: Mapping[str, Any] | None = None) -> Any:
    """A component of a class with these parameters, validated with pydantic's `context` if one is given.

    Raises `ParameterError` with a message for each wrong parameter, which begins with `name`.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(dict(parameters), context=context)
    except ValidationError as error:
        problems = "; ".join(_problem(detail, list(model.model_fields)) for detail in error.errors())
        raise ParameterError(f"{name}: {problems}") from error


def _problem(detail: Any, parameters: Sequence[str]) -> str:
    """A short message about a wrong parameter, from one of pydantic's error details."""
    where = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        close = closest(where, parameters)
        return f"no parameter '{where}'" + (f"; did you mean '{close}'?" if close else f" ({', '.join(parameters)})")
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}" if where else message
