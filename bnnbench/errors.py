"""Every exception that bnnbench raises on purpose.

    BnnbenchError
    |-- ConfigError          a benchmarks file or a command line is wrong; carries every problem found; exit 2
    |-- UnknownComponent     no installed plugin provides that name (or two do)
    |-- PluginError          a plugin breaks the rules of registration or of a component's definition
    |-- DataError            a data set is absent, damaged or not what `Data` accepts
    |-- StoreError           a stored record or artefact is absent or fails its checksum
    |-- Incompatible         this combination makes no sense (a convolution on points): its cells are skipped
    |-- GradientRefused      an attack with `access="scores"` asked for a gradient
    `-- ContractBreach       a plugin returned what the core's rules forbid: the outcome is invalid

Wrong arguments of public functions raise the built-in `ValueError` or `TypeError`; a component's parameters out of
their bounds raise `pydantic.ValidationError`, which is a `ValueError`.
"""

from __future__ import annotations


class BnnbenchError(Exception):
    """The base of all errors that bnnbench raises on purpose."""


class ConfigError(BnnbenchError):
    """A benchmarks file or a command line is wrong. `problems` holds one line for each thing that is."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class UnknownComponent(BnnbenchError):
    """No installed plugin provides the component asked for, or more than one does."""


class PluginError(BnnbenchError):
    """A plugin breaks the rules of registration or of a component's definition."""


class DataError(BnnbenchError):
    """A data set is absent, damaged, or not what `Data` accepts."""


class StoreError(BnnbenchError):
    """A stored record or artefact is absent or fails its checksum."""


class Incompatible(BnnbenchError):
    """This combination makes no sense: its cells are `skipped` with this reason."""


class GradientRefused(BnnbenchError):
    """An attack whose threat gives it scores alone asked for a gradient."""


class ContractBreach(BnnbenchError):
    """A plugin returned what the core's rules forbid: the outcome is `invalid`."""
