"""What is installed: components by kind and name, and how to make one."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bnnbench.errors import ParameterError, PluginError, UnknownComponent, closest
from bnnbench.plugins.provenance import Provenance, remember

if TYPE_CHECKING:
    from bnnbench.core.attack import Attack
    from bnnbench.core.dataset import Dataset
    from bnnbench.core.network import Network
    from bnnbench.core.objective import Objective
    from bnnbench.core.posterior import Posterior
    from bnnbench.plugins.loading import Quarantined

KINDS = ("dataset", "network", "posterior", "objective", "attack")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Entry:
    """One registered component: its class, or where to import it from when it is first used."""

    kind: str
    name: str
    target: type | str
    help: str | None
    plugin: str
    distribution: str
    version: str

    def load(self) -> Any:
        """The component's class. Raises `PluginError` if it cannot be imported or is of another kind."""
        target = self.target
        try:
            if isinstance(target, str):
                module, _, attribute = target.partition(":")
                target = getattr(importlib.import_module(module), attribute)
        except (Exception, SystemExit) as error:
            raise PluginError(f"{self}: cannot import {self.target}: {type(error).__name__}: {error}") from error
        if not (isinstance(target, type) and getattr(target, "kind", None) == self.kind):
            raise PluginError(f"{self}: {target!r} is not a {self.kind} class")
        remember(target, Provenance(self.distribution, self.version, target.__module__))
        return target

    @property
    def summary(self) -> str:
        """One line: the registered help, or the first line of the class's docstring (a lazy target is not imported)."""
        if self.help:
            return self.help
        text = "" if isinstance(self.target, str) else (self.target.__doc__ or "")
        return text.strip().partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' of {self.distribution} {self.version}"


class Registrar:
    """What a plugin's `bnnbench_register` is handed; it has one method for each kind of component.

    Each takes a name (`[a-z0-9][a-z0-9._-]{0,63}`), a class or the text "module:Class" that is imported when the
    component is first used, and optionally one line of help. Raises `PluginError` for a malformed or repeated name.
    """

    def __init__(self, plugin: str, distribution: str, version: str) -> None:
        self.entries: list[Entry] = []
        self._origin = (plugin, distribution, version)

    def dataset(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        self._add("dataset", name, target, help)

    def network(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        self._add("network", name, target, help)

    def posterior(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        self._add("posterior", name, target, help)

    def objective(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        self._add("objective", name, target, help)

    def attack(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        self._add("attack", name, target, help)

    def _add(self, kind: str, name: str, target: type | str, text: str | None) -> None:
        if not NAME.fullmatch(name):
            raise PluginError(f"{kind} name {name!r} does not match {NAME.pattern}")
        if isinstance(target, str) and not re.fullmatch(r"[\w.]+:\w+", target):
            raise PluginError(f"{kind} '{name}': target {target!r} is not of the form 'package.module:Class'")
        if not isinstance(target, str) and getattr(target, "kind", None) != kind:
            raise PluginError(f"{kind} '{name}': {target!r} is not a {kind} class")
        if any(entry.kind == kind and entry.name == name for entry in self.entries):
            raise PluginError(f"{kind} '{name}' is registered twice")
        self.entries.append(Entry(kind, name, target, text, *self._origin))


class Registry:
    """All components of the loaded plugins, and the plugins in quarantine."""

    def __init__(self, entries: Sequence[Entry], quarantined: Sequence[Quarantined] = ()) -> None:
        self.entries = sorted(entries, key=lambda entry: (KINDS.index(entry.kind), entry.name, entry.distribution))
        self.quarantined = list(quarantined)

    def names(self, kind: str) -> list[str]:
        """The names registered for a kind, sorted, each once."""
        return sorted({entry.name for entry in self.entries if entry.kind == kind})

    def find(self, kind: str, name: str) -> Entry:
        """The entry of that name; `distribution:name` says which where two distributions share it.

        Raises `UnknownComponent`, with what was probably meant and every plugin that failed to load.
        """
        distribution, _, bare = name.rpartition(":")
        found = [
            entry
            for entry in self.entries
            if entry.kind == kind and entry.name == bare and distribution in ("", entry.distribution)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            choices = " or ".join(f"'{entry.distribution}:{bare}'" for entry in found)
            raise UnknownComponent(f"two distributions provide the {kind} '{bare}': write {choices}")
        raise UnknownComponent(f"no {kind} named '{name}'{self._hint(kind, bare)}")

    def _hint(self, kind: str, name: str) -> str:
        close = closest(name, self.names(kind))
        hint = f"; did you mean '{close}'?" if close else f" (installed: {', '.join(self.names(kind)) or 'none'})"
        others = [entry.kind for entry in self.entries if entry.name == name and entry.kind != kind]
        if others:
            hint += f"; '{name}' is a {others[0]}"
        return hint + "".join(f"; {broken}" for broken in self.quarantined)

    def create(self, kind: str, name: str, parameters: dict[str, Any]) -> Any:
        """The component with these parameters. Raises `ParameterError`, with what is wrong with each of them."""
        from pydantic import ValidationError

        component = self.find(kind, name).load()
        try:
            return component(**parameters)
        except ValidationError as error:
            problems = "; ".join(_told(detail, list(component.model_fields)) for detail in error.errors())
            raise ParameterError(f"{kind} {name}: {problems}") from error

    def recipe(self, kind: str, component: Any) -> dict[str, Any] | None:
        """What `create` makes the component from: `use`, `distribution:name`, and `parameters`, as JSON; None if its
        class is not registered."""
        target = type(component)
        for entry in self.entries:
            if entry.kind == kind and entry.target in (target, f"{target.__module__}:{target.__qualname__}"):
                return {"use": f"{entry.distribution}:{entry.name}", "parameters": component.model_dump(mode="json")}
        return None


def _told(detail: Any, parameters: Sequence[str]) -> str:
    """What is wrong with a parameter, in a few words, from pydantic's detail."""
    where = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        close = closest(where, parameters)
        return f"no parameter '{where}'" + (f"; did you mean '{close}'?" if close else f" ({', '.join(parameters)})")
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}" if where else message


@functools.cache
def registry() -> Registry:
    """What is installed, loaded once for the process."""
    from bnnbench.plugins.loading import load_registry

    return load_registry()


def dataset(name: str, **parameters: Any) -> Dataset:
    """The data set of that registered name, with these parameters."""
    return registry().create("dataset", name, parameters)


def network(name: str, **parameters: Any) -> Network:
    """The network of that registered name, with these parameters."""
    return registry().create("network", name, parameters)


def posterior(name: str, **parameters: Any) -> Posterior:
    """The inference method of that registered name, with these parameters."""
    return registry().create("posterior", name, parameters)


def objective(name: str, **parameters: Any) -> Objective:
    """The objective of that registered name, with these parameters."""
    return registry().create("objective", name, parameters)


def attack(name: str, **parameters: Any) -> Attack:
    """The attack of that registered name, with these parameters."""
    return registry().create("attack", name, parameters)
