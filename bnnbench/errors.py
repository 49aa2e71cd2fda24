"""Every exception that bnnbench raises on purpose.

    BnnbenchError
    |-- ConfigError          a benchmarks file or a command line is wrong; carries every problem found; exit 2
    |-- ParameterError       a component was given parameters that it does not take; also a ValueError
    |-- UnknownComponent     no installed plugin provides that name (or two do)
    |-- PluginError          a plugin breaks the rules of registration or of a component's definition
    |-- DataError            a data set is absent or damaged
    |   `-- InvalidData      it is not what `Data` accepts; also a ContractBreach
    |-- StoreError           a stored record or artefact is absent or fails its checksum
    |   `-- StoreUnwritable  the store's disk is full, broken or closed to us: a run ends
    |-- ClusterLost          the scheduler of a Dask cluster cannot be reached, or not any more
    |-- Incompatible         this combination makes no sense (a convolution on points): its cells are skipped
    |-- GradientRefused      an attack with `access="scores"` asked for a gradient: its cells are skipped
    `-- ContractBreach       a plugin returned what the core's rules forbid: the outcome is invalid

Wrong arguments of public functions raise the built-in `ValueError` or `TypeError`. Parameters that a component does not
have, or out of their bounds, raise `ParameterError` from `bnnbench.attack(name, ...)` and its sisters, and
`pydantic.ValidationError` from the class itself; both are `ValueError`s.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class BnnbenchError(Exception):
    """The base of all errors that bnnbench raises on purpose."""


class ConfigError(BnnbenchError):
    """A benchmarks file or a command line is wrong. `problems` holds one line for each thing that is."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class ParameterError(BnnbenchError, ValueError):
    """A component was given parameters that it does not take."""


class UnknownComponent(BnnbenchError):
    """No installed plugin provides the component asked for, or more than one does."""


class PluginError(BnnbenchError):
    """A plugin breaks the rules of registration or of a component's definition."""


class DataError(BnnbenchError):
    """A data set is absent or damaged, or (`InvalidData`) not what `Data` accepts."""


class StoreError(BnnbenchError):
    """A stored record or artefact is absent or fails its checksum."""


class StoreUnwritable(StoreError):
    """The disk takes nothing more, or takes it no more from us; what the store holds is whole."""


class ClusterLost(BnnbenchError):
    """The scheduler of a Dask cluster cannot be reached, or not any more; what was finished is kept."""


class Incompatible(BnnbenchError):
    """This combination makes no sense: its cells are `skipped` with this reason."""


class GradientRefused(BnnbenchError):
    """An attack whose threat gives it scores alone asked for a gradient: its cells are `skipped`."""


class ContractBreach(BnnbenchError):
    """A plugin returned what the core's rules forbid: the outcome is `invalid`."""


class InvalidData(DataError, ContractBreach):
    """Inputs or labels are not what `Data` accepts: a data set that loads such data breaks the rules."""


def clean(text: str) -> str:
    """Text without control or bidirectional characters: what a stranger wrote and a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)


def one_line(text: str, longest: int = 1000) -> str:
    """A stranger's text on one line, clean, and cut where it is too long to be read."""
    line = clean(" ".join(text.split()))
    return line if len(line) <= longest else line[: longest - 3] + "..."


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant: one that is spelt alike or, else, holds the word whole."""
    names = list(known)
    holding = [name for name in names if word in re.split(r"[-_.]", name) or (len(word) > 3 and word in name)]
    if len(holding) == 1:
        return holding[0]
    return next(iter(difflib.get_close_matches(word, names, n=1)), None)
