"""The registrar that a plugin's hook receives, and the entries that it collects."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any

from bnnbench.errors import PluginError, message_of
from bnnbench.plugins.described import described, with_article
from bnnbench.plugins.host_kept import host_kept
from bnnbench.plugins.kinds import KIND
from bnnbench.plugins.provenance import Provenance, remember
from bnnbench.plugins.signals import contained

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""The form of component names and labels."""


@dataclass(frozen=True)
class Entry:
    """One registered component. `target` is its class, or "module:Class", which `load` imports."""

    kind: str
    name: str
    target: type | str
    help: str | None
    plugin: str
    distribution: str
    version: str

    def load(self) -> Any:
        """The component's class. Raises `PluginError` if it cannot be imported or is of another kind."""
        target = self._imported() if isinstance(self.target, str) else self.target
        if not _is_of_kind(target, self.kind):
            raise PluginError(f"{self}: {_not_of_kind(target, self.kind)}")
        remember(target, Provenance(self.distribution, self.version, target.__module__))
        return target

    def _imported(self) -> Any:
        module, _, attribute = str(self.target).partition(":")
        try:
            with contained(), host_kept():
                return getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise PluginError(f"{self}: cannot import {self.target}: {message_of(error)}") from error

    @property
    def target_name(self) -> str:
        """The component's class as "module:Class"."""
        target = self.target
        return target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}"

    @property
    def summary(self) -> str:
        """The registered help, or the first line of the class's docstring; empty if the class is not imported yet."""
        if self.help:
            return self.help
        text = "" if isinstance(self.target, str) else (self.target.__doc__ or "")
        return text.strip().partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' of {self.distribution} {self.version}"


class Registrar:
    """Collects the components of one plugin: the argument of its `bnnbench_register`.

    Its methods take a name (`[a-z0-9][a-z0-9._-]{0,63}`), a class or the text "module:Class", which is imported when
    the component is first used, and optionally one line of help. They raise `PluginError` for a malformed or repeated
    name, and for a class of another kind.
    """

    def __init__(self, plugin: str, distribution: str, version: str) -> None:
        self.entries: list[Entry] = []
        self._origin = (plugin, distribution, version)

    def dataset(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register a data set: `add("dataset", ...)`."""
        self.add("dataset", name, target, help)

    def network(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register a network: `add("network", ...)`."""
        self.add("network", name, target, help)

    def posterior(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register a posterior: `add("posterior", ...)`."""
        self.add("posterior", name, target, help)

    def objective(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register an objective: `add("objective", ...)`."""
        self.add("objective", name, target, help)

    def attack(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register an attack: `add("attack", ...)`."""
        self.add("attack", name, target, help)

    def certificate(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register a certificate: `add("certificate", ...)`."""
        self.add("certificate", name, target, help)

    def measure(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register a measure: `add("measure", ...)`."""
        self.add("measure", name, target, help)

    def metric(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register a metric: `add("metric", ...)`."""
        self.add("metric", name, target, help)

    def check(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register a check: `add("check", ...)`."""
        self.add("check", name, target, help)

    def figure(self, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register a figure: `add("figure", ...)`."""
        self.add("figure", name, target, help)

    def add(self, kind: str, name: str, target: type | str, help: str | None = None) -> None:  # noqa: A002
        """Register a component of any kind. Raises `PluginError` for an unknown kind, too."""
        if kind not in KIND:
            raise PluginError(f"there is no kind '{kind}' of component (kinds: {', '.join(KIND)})")
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise PluginError(f"{kind} name {name!r} does not match {NAME.pattern}")
        if isinstance(target, str) and not re.fullmatch(r"[\w.]+:\w+", target):
            raise PluginError(f"{kind} '{name}': target {target!r} is not of the form 'package.module:Class'")
        if not isinstance(target, str) and not _is_of_kind(target, kind):
            raise PluginError(f"{kind} '{name}': {_not_of_kind(target, kind)}")
        if any(entry.kind == kind and entry.name == name for entry in self.entries):
            raise PluginError(f"{kind} '{name}' is registered twice")
        self.entries.append(Entry(kind, name, target, help, *self._origin))


def _is_of_kind(target: object, kind: str) -> bool:
    """Whether an object is a class that derives from the base class of a kind, which need not be imported for this."""
    return isinstance(target, type) and KIND[kind].base in {
        f"{base.__module__}:{base.__qualname__}" for base in target.__mro__[1:]
    }


def _not_of_kind(target: object, kind: str) -> str:
    base = KIND[kind].base.partition(":")[2]
    return f"{described(target)} is not {with_article(kind)} class: it does not derive from bnnbench.{base}"
