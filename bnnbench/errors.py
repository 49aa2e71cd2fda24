"""Every exception that bnnbench raises, and functions that make texts safe for messages.

    BnnbenchError
    |-- ConfigError          a benchmarks file or a command line is wrong; it holds every problem found; exit 2
    |-- ParameterError       a component was given unknown parameters or wrong values; also a ValueError
    |-- UnknownComponent     no installed plugin provides the name, or more than one does
    |-- PluginError          a plugin breaks the rules of registration or of a component's definition
    |-- DataError            a data set is absent or damaged
    |   `-- InvalidData      inputs or labels are not what `Data` accepts; also a ContractBreach and a ValueError
    |-- StoreError           a stored record or artefact is absent or fails its checksum
    |   |-- DamagedArtefact  draws or arrays do not have the checksum that their record states
    |   `-- StoreUnwritable  the store cannot be written to: the disk is full or broken, or access is denied; a run ends
    |-- ClusterLost          the scheduler of a Dask cluster cannot be reached, or stopped answering
    |-- Incompatible         components do not fit together (a convolution on points): their cells are skipped
    |-- AccessRefused        an attack asked for something that its threat or the predictive does not give: skipped
    |   |-- GradientRefused  gradients
    |   `-- ScoresRefused    scores
    |-- NotApplicable        a check of the audit, or a figure, finds nothing to look at
    |-- QueriesSpent         an attack asked for more queries than its threat allows: its cells are skipped
    `-- ContractBreach       a plugin returned what the core's rules forbid: the outcome is invalid
        `-- NetworkError     a network cannot be copied, or is no fixed function from inputs to logits
            |-- NotLogits       a network returns probabilities that it has not declared
            |-- NotRepeatable   a network gives other outputs when it is called again, or draws random numbers
            `-- NetworkNotMade  code of the user's own gives no network; also a PluginError

Wrong arguments of public functions raise the built-in `ValueError` or `TypeError`. Unknown or wrong parameters of a
component raise `ParameterError`, which is a `ValueError`, from the functions that make components by name
(`bnnbench.attack("pgd", ...)`) and from the component's class alike.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class BnnbenchError(Exception):
    """The base class of all exceptions of bnnbench."""


class ConfigError(BnnbenchError):
    """A benchmarks file or a command line is wrong. `problems` holds one line for each problem."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class ParameterError(BnnbenchError, ValueError):
    """A component was given unknown parameters or wrong values."""


class UnknownComponent(BnnbenchError):
    """No installed plugin provides the component asked for, or more than one does."""


class PluginError(BnnbenchError):
    """A plugin breaks the rules of registration or of a component's definition."""


class DataError(BnnbenchError):
    """A data set is absent or damaged, or (`InvalidData`) not what `Data` accepts."""


class StoreError(BnnbenchError):
    """A stored record or artefact is absent or fails its checksum."""


class DamagedArtefact(StoreError):
    """Draws or arrays are gone, or do not have the checksum in their record; the next run computes them again."""


class StoreUnwritable(StoreError):
    """The store cannot be written to: the disk is full or broken, or access is denied. What it holds stays valid."""


class ClusterLost(BnnbenchError):
    """The scheduler of a Dask cluster cannot be reached, or stopped answering. Finished outcomes are kept."""


class Incompatible(BnnbenchError):
    """Components do not fit together: the cells that combine them are `skipped` with this reason."""


class AccessRefused(BnnbenchError):
    """An attack asked for something that its threat or the predictive does not give: its cells are `skipped`."""


class GradientRefused(AccessRefused):
    """An attack asked for a gradient that its threat or the predictive does not give."""


class ScoresRefused(AccessRefused):
    """An attack asked for scores under a threat that gives it predicted classes alone."""


class NotApplicable(BnnbenchError):
    """A check of the audit or a figure has nothing to look at: the premise or a result is absent."""


class QueriesSpent(BnnbenchError):
    """An attack asked for more queries of an image than its threat allows: its cells are `skipped`."""


class ContractBreach(BnnbenchError):
    """A plugin returned what the core's rules forbid: the outcome is `invalid`."""


class NetworkError(ContractBreach):
    """A network cannot be copied, or is no fixed function from inputs (N, *shape) to logits (N, classes)."""


class NotLogits(NetworkError):
    """A network returns probabilities that it has not declared, so that they would be taken for logits."""


class NotRepeatable(NetworkError):
    """A network gives other outputs when it is called again, or draws random numbers in eval mode."""


class NetworkNotMade(PluginError, NetworkError):
    """What a benchmarks file names as a network cannot be called as the file says, or gives no module."""


class InvalidData(DataError, ContractBreach, ValueError):
    """Inputs or labels are not what `Data` accepts."""


def clean(text: str) -> str:
    """A text with `?` in place of every control, bidirectional or other unprintable character.

    Texts of plugins, files and stores must pass through this before they are printed to a terminal.
    """
    return "".join(char if char.isprintable() else "?" for char in text)


def one_line(text: str, longest: int = 1000) -> str:
    """A text on one line, with unprintable characters replaced, cut to at most `longest` characters."""
    line = clean(" ".join(text.split()))
    return line if len(line) <= longest else line[: longest - 3] + "..."


def message_of(error: BaseException) -> str:
    """The text of an error; that of another class than bnnbench's begins with the name of its class.

    An error without a text is told by the name of its class alone.
    """
    name = type(error).__name__
    try:
        text = str(error).strip()
    except BaseException:  # noqa: BLE001 - a plugin's class may raise anything while it is told
        return f"{name}: its text cannot be made"
    return ((text or name) if isinstance(error, BnnbenchError) else f"{name}: {text}") if text else name


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt word most likely stands for; None if none is similar.

    A name that alone contains the word comes first, then the name with the most similar spelling. Capital letters do
    not matter.
    """
    names, word = {name.lower(): name for name in known}, word.lower()
    containing = [name for name in names if word in re.split(r"[-_.]", name) or (len(word) > 3 and word in name)]
    close = containing if len(containing) == 1 else difflib.get_close_matches(word, names, n=1)
    return names[close[0]] if close else None
