"""The goals by name, with the fields of a threat that belong to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from bnnbench.core import arguments
from bnnbench.core.goal import Goal, GoalName, Score, Targeted, Untargeted
from bnnbench.core.uncertainty_goal import UncertaintyGoal

GOALS = frozenset(get_args(GoalName))
"""The names of all goals."""
UNDECLARED = frozenset({"untargeted"})
"""The goals of an attack that does not say which it pursues. A loss of its own is most often about the label alone."""
OPTIONS = ("target", "score", "keep_label", "level")
"""The fields of a threat that belong to some goals only."""
_FORMS: dict[str, Callable[[Any], Any]] = {
    "target": lambda value: arguments.integer(value, argument="target", least=0),
    "score": lambda value: arguments.one_of(value, get_args(Score), argument="score"),
    "keep_label": lambda value: arguments.flag(value, argument="keep_label"),
    "level": lambda value: arguments.number(value, argument="level", meant="a score in nats", least=0.0),
}
"""The plain form of each of these fields; the functions raise `TypeError` or `ValueError` for a wrong value."""


@dataclass(frozen=True)
class _Kind:
    """A goal's options with their defaults, and the function of the options that makes it."""

    defaults: Mapping[str, Any]
    make: Callable[..., Goal]


_OF_UNCERTAINTY = {"score": "entropy", "keep_label": False, "level": None}
_KINDS: dict[str, _Kind] = {
    "untargeted": _Kind({}, Untargeted),
    "targeted": _Kind({"target": None}, Targeted),
    "raise-uncertainty": _Kind(_OF_UNCERTAINTY, lambda **options: UncertaintyGoal(raises=True, **options)),
    "lower-uncertainty": _Kind(_OF_UNCERTAINTY, lambda **options: UncertaintyGoal(raises=False, **options)),
}


def checked_options(goal: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a goal in plain form, with its defaults; those that belong to other goals are None.

    Raises `TypeError` or `ValueError` for a wrong value, and for an option of another goal.
    """
    defaults = _KINDS[goal].defaults
    options: dict[str, Any] = {}
    for name in OPTIONS:
        value = given.get(name)
        if value is not None and name not in defaults:
            owners = [f"'{one}'" for one, kind in _KINDS.items() if name in kind.defaults]
            raise ValueError(f"{name} belongs to the goal {' or '.join(owners)}, not to '{goal}'")
        options[name] = defaults.get(name) if value is None else _FORMS[name](value)
    return options


def described(goal: str, options: Mapping[str, Any]) -> str:
    """A goal in words, with the options that differ from its defaults: `targeted (target 3)`."""
    defaults = _KINDS[goal].defaults
    told = [
        name.replace("_", " ") if value is True else f"{name} {value}"
        for name, value in options.items()
        if name in defaults and value != defaults[name]
    ]
    return f"{goal} ({', '.join(told)})" if told else goal


def goal_of(goal: str, options: Mapping[str, Any]) -> Goal:
    """The goal of a name, with options as `checked_options` returns them."""
    kind = _KINDS[goal]
    return kind.make(**{name: options[name] for name in kind.defaults})
