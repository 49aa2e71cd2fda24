"""Records that travel to a cluster and back: their checksums are verified at both ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bnnbench.errors import DamagedArtefact, StoreError
from bnnbench.pool.dask import needed_records
from bnnbench.pool.job import Job
from bnnbench.store.store import ARRAYS, CELLS, CHAINS, DRAWS, FITS, RECORD, Store

FIT = "aa" * 32
JOB = Job(str, (), ((FITS, FIT), (CHAINS, f"{FIT}-0")), 1.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    with store.held():
        for kind, key in JOB.needs:
            store.write(kind, key, {"status": "ok"}, {DRAWS: lambda path: path.write_bytes(bytes(1000)) and None})
        yield store


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_job_takes_along_the_files_of_the_records_that_it_needs(store: Store, tmp_path: Path) -> None:
    needed = needed_records(JOB, store)
    assert {place: set(contents) for place, contents in needed.items()} == {
        place: {RECORD, DRAWS} for place in JOB.needs
    }
    other = Store(tmp_path / "other")
    with other.held():
        for (kind, key), contents in needed.items():
            other.adopt(kind, key, contents)
            assert other.verified_record(kind, key) == store.record(kind, key)


@pytest.mark.parametrize("place", JOB.needs)
@pytest.mark.parametrize("damage", ["a flipped bit", "a file that is gone", "a record that is gone"])
def test_a_job_does_not_leave_with_damaged_records(store: Store, place: tuple[str, str], damage: str) -> None:
    draws = store.place(*place) / DRAWS
    if damage == "a flipped bit":
        flip_a_bit(draws)
    elif damage == "a file that is gone":
        draws.unlink()
    else:
        store.remove(*place)
    with pytest.raises(DamagedArtefact):
        needed_records(JOB, store)
    # The next pass of the run finds it missing, and computes it again.
    assert store.record(*place) is None


@pytest.mark.parametrize("name", [RECORD, ARRAYS])
def test_records_that_were_damaged_on_the_way_are_not_adopted(store: Store, tmp_path: Path, name: str) -> None:
    store.write_arrays(CELLS, FIT, {"status": "ok"}, {"x": np.arange(100.0)})
    contents = store.contents(CELLS, FIT)
    assert contents
    other = Store(tmp_path / "other")
    with other.held():
        for at in range(0, len(contents[name]), 37):
            changed = bytearray(contents[name])
            changed[at] ^= 1 << (at % 8)
            with contextlib.suppress(StoreError):
                other.adopt(CELLS, FIT, {**contents, name: bytes(changed)})
            # A changed record may still say the same, if the bit is one of white space.
            adopted = other.record(CELLS, FIT)
            assert adopted is None or (name == RECORD and adopted == store.record(CELLS, FIT))
            other.remove(CELLS, FIT)
