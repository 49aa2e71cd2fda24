"""The traces of a few functionals along the chains, which the record of a fit keeps as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bnnbench.evidence.functionals import Functionals

TRACES = 6
"""The number of functionals whose traces are kept."""
LONGEST = 1000
"""The largest number of draws of a chain that are kept; of more, as many evenly spaced ones."""

Traces = dict[str, NDArray[np.float32]]
"""The values (chains, draws) of functionals, by name."""


def traces_of(functionals: Functionals, ranked: Sequence[int]) -> Traces:
    """The traces of the functional with the largest R-hat, of the mean log-probability, and of evenly ranked others.

    `ranked` are the positions of the functionals, that with the largest R-hat first.
    """
    if not ranked:
        return {}
    means = [place for place in ranked if functionals.names[place] == "the mean log-probability"]
    rest = [place for place in ranked[1:] if place not in means]
    room = min(TRACES - 1 - len(means), len(rest))
    spread = [rest[place] for place in np.linspace(0, len(rest) - 1, room).round().astype(int)]
    chosen = list(dict.fromkeys([ranked[0], *means, *spread]))
    draws = functionals.values.shape[1]
    kept = np.unique(np.linspace(0, draws - 1, min(draws, LONGEST)).round().astype(int))
    return {functionals.names[place]: functionals.values[:, kept, place] for place in chosen}


def write_traces(path: Path, traces: Mapping[str, NDArray[np.float32]]) -> None:
    """Write traces as a safetensors file, in their order."""
    from safetensors.numpy import save_file

    # The file sorts its names.
    numbered = {f"{place} {name}": np.ascontiguousarray(values) for place, (name, values) in enumerate(traces.items())}
    save_file(numbered, path)


def read_traces(content: bytes) -> Traces:
    """The traces in the content of a file, in their order. Raises `ValueError` if it is no such file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return {name.partition(" ")[2]: values for name, values in sorted(load(content).items())}
    except (SafetensorError, KeyError) as error:  # KeyError: numbers of a type that numpy lacks.
        raise ValueError("it holds no traces") from error
