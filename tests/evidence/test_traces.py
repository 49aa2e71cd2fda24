"""The traces that a fit's record keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bnnbench.evidence.functionals import Functionals
from bnnbench.evidence.traces import LONGEST, TRACES, read_traces, traces_of, write_traces

NAMES = [*(f"functional {place}" for place in range(30)), "the mean log-probability"]


def functionals(draws: int) -> Functionals:
    """Functionals of two chains, whose value tells chain, draw and functional."""
    chain, draw, place = np.meshgrid(range(2), range(draws), range(len(NAMES)), indexing="ij")
    return Functionals(NAMES, (chain + draw / 10_000 + 10 * place).astype("f4"))


def test_the_worst_mixed_comes_first_and_the_mean_log_probability_is_there(tmp_path: Path) -> None:
    made = functionals(20)
    ranked = [17, *(place for place in range(31) if place != 17)]
    kept = traces_of(made, ranked)
    assert len(kept) == TRACES
    assert list(kept)[:2] == ["functional 17", "the mean log-probability"]
    assert (kept["functional 17"] == made.values[..., 17]).all()
    write_traces(tmp_path / "file", kept)
    again = read_traces((tmp_path / "file").read_bytes())
    assert list(again) == list(kept)
    assert all((again[name] == kept[name]).all() for name in kept)


def test_few_functionals_are_all_kept_and_none_twice() -> None:
    assert set(traces_of(functionals(20), [30, 4])) == {NAMES[30], NAMES[4]}
    assert traces_of(functionals(20), []) == {}


def test_long_chains_are_thinned_to_their_ends() -> None:
    made = functionals(4321)
    (values,) = traces_of(made, [3]).values()
    assert values.shape == (2, LONGEST)
    assert (values[:, [0, -1]] == made.values[:, [0, -1], 3]).all()


def test_a_file_of_something_else_is_an_error() -> None:
    with pytest.raises(ValueError, match="it holds no traces"):
        read_traces(b"nothing")
