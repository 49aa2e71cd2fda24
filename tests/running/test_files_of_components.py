"""Whatever code of a user's own reads a file, an outcome is about the content that was read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading_components import CODE, data, left, ran, statuses, written

import bnnbench as bb
from bnnbench.core import dependencies
from bnnbench.errors import ContractBreach
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.running.tasks import same_network
from bnnbench.store.store import CELLS, FITS, Store

OF_A_FIT = {
    "dataset": ("{use: 'mine.py:Moons'}", "data.npz", "data set"),
    "network": ("{use: 'mine.py:Cached'}", "scale.txt", "network"),
    "posterior": ("{use: 'mine.py:Posterior'}", "scale.txt", "posterior"),
}


@pytest.mark.parametrize("kind", OF_A_FIT)
def test_a_fit_is_made_anew_whichever_of_its_parts_read_the_file(kind: str, tmp_path: Path) -> None:
    use, file, word = OF_A_FIT[kind]
    (tmp_path / "scale.txt").write_text("0.5")
    data(tmp_path / "data.npz", 1.0)
    path = written(tmp_path, **{kind: use})
    ran(path)
    assert left(path) == 0
    (key,) = Store(tmp_path / "store").keys(FITS)
    record = Store(tmp_path / "store").record(FITS, key) or {}
    assert [list(record[name]) for name in record if name.endswith("_files")] == [[file]]
    (tmp_path / "scale.txt").write_text("0.25")
    data(tmp_path / "data.npz", 0.5)
    assert statuses(path)[0] == (
        "missing",
        f"{tmp_path / file}, which its {word} read when it was fitted, has changed since: the next run fits it anew",
    )
    assert left(path) == 2


CELLS_OF = {
    "attack": "attacks: {it: {use: 'mine.py:Attack'}}",
    "objective": "attacks: {it: {use: pgd, steps: 2, objective: {use: 'mine.py:Objective'}}}",
    "measure": "measures: {it: {use: 'mine.py:Measure'}}",
}


@pytest.mark.parametrize("kind", CELLS_OF)
def test_a_cell_is_computed_anew_whatever_of_it_read_the_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / "scale.txt").write_text("0.5")
    path = written(tmp_path, cells=CELLS_OF[kind])
    ran(path)
    assert left(path) == 0
    (tmp_path / "scale.txt").write_text("0.25")
    ((status, reason),) = set(statuses(path))
    word = "measure" if kind == "measure" else "attack"
    assert (status, reason) == (
        "missing",
        f"{tmp_path / 'scale.txt'}, which its {word} read, has changed since: the next run computes it anew",
    )
    assert left(path) == 1
    ran(path)
    assert left(path) == 0


class Forgetful(dict[Any, Any]):
    """Keeps nothing, as if each task had a process of its own."""

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def setdefault(self, key: Any, value: Any = None) -> Any:
        return value


def test_what_a_posterior_read_for_chains_that_are_stored_is_in_the_record_of_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependencies, "_read_before", Forgetful())
    (tmp_path / "scale.txt").write_text("0.5")
    path = written(tmp_path, posterior="{use: 'mine.py:Chains'}")
    ran(path)
    (key,) = Store(tmp_path / "store").keys(FITS)
    record = Store(tmp_path / "store").record(FITS, key) or {}
    assert list(record["posterior_files"]) == ["scale.txt"]
    (spec,) = make_plan(read_config(path)).fits.values()
    same_network.check_files(spec, record, {})
    (tmp_path / "scale.txt").write_text("0.25")
    with pytest.raises(ContractBreach, match=r"scale.txt, which its posterior read for draws that are stored, has"):
        same_network.check_files(spec, record, {})


def test_a_data_set_with_a_fingerprint_of_its_own_answers_for_itself(tmp_path: Path) -> None:
    data(tmp_path / "data.npz", 1.0)
    path = written(tmp_path, dataset="{use: 'mine.py:Answering'}")
    ran(path)
    data(tmp_path / "data.npz", 0.5)
    assert left(path) == 0


def test_bundled_components_note_no_file(tmp_path: Path) -> None:
    np.savetxt(
        tmp_path / "table.csv",
        np.c_[np.random.default_rng(0).random((20, 2)), np.arange(20) % 2],
        "%g",
        ",",
        header="a,b,label",
    )
    path = written(tmp_path, dataset="{use: table, path: table.csv, test_fraction: 0.5}")
    bb.run(path, store=tmp_path / "store", jobs=0)
    store = Store(tmp_path / "store")
    records = [store.record(kind, key) or {} for kind in (FITS, CELLS) for key in store.keys(kind)]
    assert len(records) == 2
    assert not [name for record in records for name in record if name.endswith("_files")]


def test_a_file_that_could_not_be_opened_and_appears_later_is_a_change(tmp_path: Path) -> None:
    path = written(tmp_path, network="{use: 'mine.py:Tried'}")
    ran(path)
    assert left(path) == 0
    (tmp_path / "scale.txt").write_text("0")
    assert statuses(path)[0] == (
        "missing",
        f"{tmp_path / 'scale.txt'}, which its network looked for when it was fitted, is there now: "
        "the next run fits it anew",
    )
    assert left(path) == 2


def test_a_file_that_a_network_only_reads_by_now_is_named(tmp_path: Path) -> None:
    """Whether it was asked for by its name alone cannot be heard: a cell that builds the network shows it."""
    path = written(tmp_path, network="{use: 'mine.py:Asked'}")
    ran(path)
    (tmp_path / "scale.txt").write_text("0")
    written(tmp_path, network="{use: 'mine.py:Asked'}", cells="attacks: {fgsm: , random-sign: }")
    bb.run(path, store=tmp_path / "store", jobs=0)
    assert statuses(path)[1] == (
        "invalid",
        f"network {tmp_path}/mine.py:Asked is another network now: {tmp_path}/scale.txt, which it reads, "
        "it did not read when it was fitted (--fresh fits it anew)",
    )


def test_a_file_that_the_network_itself_makes_is_no_difference(tmp_path: Path) -> None:
    path = written(tmp_path, network="{use: 'mine.py:Caching'}")
    ran(path)
    store = Store(tmp_path / "store")
    (record,) = (store.record(FITS, key) or {} for key in store.keys(FITS))
    assert record["network_files"] == {"cache.txt": ""}
    written(tmp_path, network="{use: 'mine.py:Caching'}", cells="attacks: {fgsm: , random-sign: }")
    ran(path)


def test_what_another_network_of_the_file_has_read_and_kept_counts(tmp_path: Path) -> None:
    """In one process only the first of the two opens the file."""
    (tmp_path / "scale.txt").write_text("0.5")
    both = "{use: 'mine.py:Cached'}, other: {use: 'mine.py:Second'}"
    path = written(tmp_path, network=both)
    (tmp_path / "mine.py").write_text(CODE + "\n\nclass Second(Cached):\n    pass\n")
    ran(path)
    store = Store(tmp_path / "store")
    records = [store.record(FITS, key) or {} for key in store.keys(FITS)]
    assert [list(record.get("network_files", {})) for record in records] == [["scale.txt"], ["scale.txt"]]
