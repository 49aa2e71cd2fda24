"""A flipped bit in draws is never believed: the fit or the chain is quarantined and computed again, in the same run."""

from __future__ import annotations

from pathlib import Path

import pytest

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.matrix.specs import FitSpec
from bnnbench.running.observer import Silent
from bnnbench.running.pools import setting_of
from bnnbench.running.tasks.fit_task import run_part
from bnnbench.store.housekeeping import garbage, quarantine_damaged
from bnnbench.store.store import CELLS, CHAINS, DRAWS, FITS, Store

pytestmark = pytest.mark.integration  # A run asks git for the commit.
FILE = """\
epsilons: [0.05, 0.1]
evaluate: {images: 20}
datasets: {moons: {use: half-moons, train_size: 60, test_size: 40}}
networks: {fc: {hidden: [4]}}
posteriors: {other: {use: sgd, epochs: 2}, POSTERIOR}
attacks: {random: {use: random-sign}, fgsm: , pgd: {steps: 2}}
"""
VI = "tried: {use: bayes-by-backprop, epochs: 1, draws: 3}"
CHAINED = "tried: {use: pyro-hmc, draws: 4, chains: 2, warmup: 8, leapfrog_steps: 3}"


class Notes(Silent):
    """An observer that keeps the notes of a run."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def finished(folder: Path, posterior: str = VI) -> Results:
    path = folder / "benchmarks.yaml"
    path.write_text(FILE.replace("POSTERIOR", posterior))
    return run(folder)


def run(folder: Path, observer: Silent | None = None, verify: int = 0) -> Results:
    """Run the file in this process. The last fit that it attacks is the one of the posterior that is tried."""
    return bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=0, observer=observer, verify=verify)


def tried_fit(results: Results) -> FitSpec:
    return results.cells[-1].spec.fit


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1 << 5
    path.write_bytes(content)


def quarantined(store: Store) -> list[tuple[str, str]]:
    """The kind and the key of each record in quarantine."""
    folder = store.path / "quarantine"
    names = [place.name.rpartition("-")[0] for place in folder.iterdir()] if folder.exists() else []
    return [(name.partition("-")[0], name.partition("-")[2]) for name in names]


@pytest.mark.parametrize("attacks", [["fgsm"], ["random", "pgd"]])
def test_a_damaged_fit_with_cells_left_is_fitted_again_in_the_same_run(tmp_path: Path, attacks: list[str]) -> None:
    before = finished(tmp_path)
    store, fit = before.store, tried_fit(before).key
    draws = store.place(FITS, fit) / DRAWS
    whole = draws.read_bytes()
    with store.held():
        for cell in before.cells:
            if cell.spec.label in attacks and cell.spec.fit.key == fit:
                store.remove(CELLS, cell.spec.key)
    flip_a_bit(draws)
    again = run(tmp_path, notes := Notes())
    assert again.complete
    assert again.rows() == before.rows()
    assert draws.read_bytes() == whole
    assert quarantined(store) == [(FITS, fit)]
    assert [line.startswith(f"{FITS}/{fit}: {DRAWS} does not have its checksum") for line in again.store.damaged] == [
        True
    ]
    assert any("does not have its checksum; computed again" in note for note in notes.notes)


def test_a_damaged_fit_with_all_cells_done_is_found_by_verifying_the_store(tmp_path: Path) -> None:
    before = finished(tmp_path)
    fit = tried_fit(before).key
    draws = before.store.place(FITS, fit) / DRAWS
    whole = draws.read_bytes()
    flip_a_bit(draws)
    assert run(tmp_path).rows() == before.rows()
    assert quarantined(before.store) == []
    store = Store(before.store.path)
    with store.held():
        assert [line.partition(":")[0] for line in quarantine_damaged(store)] == [f"{FITS}/{fit}"]
    assert run(tmp_path).rows() == before.rows()
    assert draws.read_bytes() == whole


def test_a_damaged_chain_is_sampled_again_before_it_is_joined(tmp_path: Path) -> None:
    before = finished(tmp_path, CHAINED)
    spec, store = tried_fit(before), before.store
    draws = store.place(FITS, spec.key) / DRAWS
    whole = draws.read_bytes()
    with store.held():
        for chain in range(2):
            run_part(spec, chain, setting_of(before.plan, store))
        store.remove(FITS, spec.key)
        store.remove(CELLS, before.cells[-1].spec.key)
    chain = spec.part_key(1)
    flip_a_bit(store.place(CHAINS, chain) / DRAWS)
    again = run(tmp_path)
    assert again.complete
    assert again.rows() == before.rows()
    assert draws.read_bytes() == whole
    assert quarantined(store) == [(CHAINS, chain)]
    assert list(store.keys(CHAINS)) == []


def test_cells_are_not_repeated_with_damaged_draws(tmp_path: Path) -> None:
    before = finished(tmp_path)
    fit = tried_fit(before).key
    flip_a_bit(before.store.place(FITS, fit) / DRAWS)
    again = run(tmp_path, verify=len(before.cells))
    assert len(again.checks) == len(before.cells)
    for check in again.checks:
        assert check.right == (check.cell.fit.key != fit)
    assert not again.complete


def test_the_chains_of_a_fit_are_kept_while_its_draws_are_damaged(tmp_path: Path) -> None:
    """They are what the fit is made of again."""
    store, fit = Store(tmp_path / "store"), "aa" * 32
    with store.held():
        for kind, key in ((FITS, fit), (CHAINS, f"{fit}-0")):
            store.write(kind, key, {"status": "ok"}, {DRAWS: lambda path: path.write_bytes(b"draws") and None})
        chain = store.place(CHAINS, f"{fit}-0")
        assert garbage(store) == [chain]
        (store.place(FITS, fit) / DRAWS).write_bytes(b"drawn")
        assert garbage(store) == []


def test_a_fit_that_claims_draws_and_names_none_is_not_taken_for_damaged(tmp_path: Path) -> None:
    """Nothing would be gained by quarantine: the record is whole."""
    store, fit = Store(tmp_path / "store"), "aa" * 32
    with store.held():
        store.write(FITS, fit, {"status": "ok"})
        record = store.record(FITS, fit)
        assert record
        with pytest.raises(bb.StoreError, match="names no draws") as raised:
            store.draws(FITS, fit, record)
        assert not isinstance(raised.value, bb.DamagedArtefact)
        assert store.record(FITS, fit)
