"""The draws of a fit are stored before anything is predicted with them."""

from __future__ import annotations

from pathlib import Path

import light
import pytest

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.store.store import CHAINS, FITS

pytestmark = pytest.mark.integration
POSTERIOR = """
import os
import pathlib

import bnnbench as bb
from light import Fixed, Points

HERE = pathlib.Path(__file__).parent


class Wandering(Points):
    '''Other points once there is a file.'''

    def load(self, seed):
        data = super().load(seed)
        x, y = data.train
        return bb.Data(train=(x * 0.5, y) if (HERE / "moved").exists() else data.train, test=data.test)


class Costly(Fixed):
    '''Notes each fit. Its predictive meets what the file `meets` says.'''

    def fit(self, network, data, *, seed, progress):
        with (HERE / "fits").open("a") as fits:
            fits.write("one\\n")
        return super().fit(network, data, seed=seed)

    def predictive(self, network, draws):
        meets = (HERE / "meets").read_text()
        if meets == "error":
            raise RuntimeError("no prediction today")
        if meets == "death":
            os._exit(1)
        if meets == "interrupt":
            raise KeyboardInterrupt
        return super().predictive(network, draws)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "costly.py").write_text(POSTERIOR)
    return light.written(tmp_path, light.ONE_FIT.replace("light.py:Fixed", "costly.py:Costly"))


def run(file: Path, meets: str, jobs: int = 0, fresh: bool = False) -> Results:
    (file.parent / "meets").write_text(meets)
    return bb.run(file, store=file.parent / "store", jobs=jobs, fresh=fresh, only=["fgsm"])


def fits(file: Path) -> int:
    return len((file.parent / "fits").read_text().splitlines())


@pytest.mark.parametrize(("meets", "jobs"), [("error", 0), ("interrupt", 0), ("death", 1)])
def test_a_fit_whose_predictions_failed_is_not_fitted_again(file: Path, meets: str, jobs: int) -> None:
    if meets == "interrupt":
        with pytest.raises(KeyboardInterrupt):
            run(file, meets)
    else:
        assert not run(file, meets, jobs).complete
    results = run(file, "nothing")
    assert results.complete
    assert fits(file) == 1
    assert not list(results.store.keys(CHAINS))
    (key,) = results.store.keys(FITS)
    record = results.store.record(FITS, key)
    assert record is not None
    (drawn,) = record["chains"]  # Where and how long the draws were drawn.
    assert record["seconds"] > drawn["seconds"] > 0


def test_stored_draws_give_the_outcomes_of_new_ones(file: Path) -> None:
    run(file, "error")
    (stored,) = run(file, "nothing").rows()
    (new,) = run(file, "nothing", fresh=True).rows()
    assert fits(file) == 2
    assert stored == new


def test_fresh_forgets_stored_draws(file: Path) -> None:
    run(file, "error")
    assert run(file, "nothing", fresh=True).complete
    assert fits(file) == 2


def test_stored_draws_of_other_data_are_not_taken(file: Path) -> None:
    file.write_text(file.read_text().replace("light.py:Points", "costly.py:Wandering"))
    run(file, "error")
    (file.parent / "moved").touch()
    assert run(file, "nothing").complete
    assert fits(file) == 2


def test_damaged_stored_draws_are_not_taken(file: Path) -> None:
    store = run(file, "error").store
    (key,) = store.keys(CHAINS)
    path = store.place(CHAINS, key) / "draws.safetensors"
    content = bytearray(path.read_bytes())
    content[-7] ^= 1 << 5
    path.write_bytes(content)
    assert run(file, "nothing").complete
    assert fits(file) == 2
