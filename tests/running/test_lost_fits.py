"""A fit that is lost is fitted again, and keeps the cells that are about its draws."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from matrices import copied, unsealed

import bnnbench as bb
from bnnbench.core import draws_file
from bnnbench.core.draws import Draws
from bnnbench.evidence.results import Results
from bnnbench.store.store import CELLS, DRAWS, FITS, RECORD

pytestmark = pytest.mark.integration


def with_other_draws(results: Results) -> None:
    """Write the store's one fit anew, as it may come out on another computer: a little different."""
    (spec,) = results.plan.fits.values()
    store = results.store
    with store.held():
        record = store.record(FITS, spec.key)
        assert record is not None
        draws, _ = draws_file.read_draws(store.place(FITS, spec.key) / DRAWS)
        moved = Draws({name: array + np.float32(0.5) for name, array in draws.arrays.items()}, shared=draws.shared)
        # What the first draw predicted belongs to the draws.
        kept = {name: value for name, value in unsealed(record).items() if name != "first_draw"}
        store.write(FITS, spec.key, kept, {DRAWS: lambda path: draws_file.write_draws(path, moved)})


def test_outcomes_of_draws_that_are_no_more_are_not_shown_and_computed_again(finished: Results, tmp_path: Path) -> None:
    results = copied(finished, tmp_path, "sgd", "random")
    first = results.cells[0].outcome
    with_other_draws(results)
    stale = Results(results.plan, results.store)
    assert {(cell.status, cell.reason) for cell in stale.cells} == {
        ("missing", "its fit was computed anew since, and has other draws")
    }
    again = bb.run(finished.plan.config.path, store=tmp_path / "store", only=["sgd", "random"], jobs=0)
    assert again.complete
    second = again.cells[0].outcome
    assert first is not None
    assert second is not None
    assert not np.array_equal(first.clean_log_probs, second.clean_log_probs)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_fit_that_is_lost_keeps_its_cells_if_it_comes_back_the_same(
    finished: Results, tmp_path: Path, elsewhere: bool
) -> None:
    results = copied(finished, tmp_path, "sgd", "random")
    if elsewhere:
        with_other_draws(results)
        results = bb.run(finished.plan.config.path, store=tmp_path / "store", only=["sgd", "random"], jobs=0)
    (fit,) = results.plan.fits
    places = [results.store.place(CELLS, cell.spec.key) / RECORD for cell in results.cells]
    before = [place.stat().st_mtime_ns for place in places]
    shutil.rmtree(results.store.place(FITS, fit))
    again = bb.run(finished.plan.config.path, store=tmp_path / "store", only=["sgd", "random"], jobs=0)
    assert again.complete
    assert [place.stat().st_mtime_ns != old for place, old in zip(places, before, strict=True)] == [elsewhere] * 2
