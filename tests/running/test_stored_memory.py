"""Chains that go on from their last state, to the same bits, after a kill and to more draws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import called
from light import written

from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.pool.job import Setting
from bnnbench.running.dispatch import Ended
from bnnbench.running.run import _collect
from bnnbench.running.task import Task
from bnnbench.running.tasks import stored_memory
from bnnbench.store.records import Ending, changed, record_of_part
from bnnbench.store.store import DRAWS, FITS, STATES, Store

pytestmark = pytest.mark.integration

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
limits: {save: 0.001s, retries: 0}
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: {hidden: [4]}}
posteriors: {walk: {use: 'walk.py:Walk', draws: 12, chains: 2}}
attacks: {fgsm: }
"""
WALK = '''
import os
import pathlib
import time
import numpy as np
import bnnbench as bb
from bnnbench.authoring import NO_MEMORY, chain_seeds

class Walk(bb.IndependentChains):
    """A random walk of all weights. It leaves a mark for each step, and dies at the step that a file names."""

    keeps_state = True
    lengthening = frozenset({"draws", "chains"})
    scale: float = 1.0

    def fit_chain(self, network, data, *, seed, chain, progress=bb.no_progress, memory=NO_MEMORY):
        names = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
        place, step, kept = {name: np.zeros(shape, "f4") for name, shape in names.items()}, 0, []
        if (last := memory.last()) is not None:
            step = int(last.arrays["step"])
            place = {name: last.arrays[name] for name in names}
            kept = [dict(zip(last.draws, rows)) for rows in zip(*last.draws.values())]

        def state():
            return {"step": np.array(step), **place}

        while step < self.per_chain:
            mark = pathlib.Path("die-at")
            if mark.exists() and int(mark.read_text()) == step:
                os._exit(9)
            with open(f"steps-{chain}", "a") as file:
                file.write(f"{step} ")
            random = np.random.default_rng([*chain_seeds(seed, chain), step])
            moves = {name: random.normal(size=shape).astype("f4") for name, shape in names.items()}
            place = {name: place[name] + self.scale * moves[name] for name in names}
            kept.append(place)
            step += 1
            time.sleep(0.002)
            memory.keep(state, kept)
        memory.finish(state, kept)
        return bb.Draws({name: np.stack([one[name] for one in kept])[None] for name in names})
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written(tmp_path, FILE)
    (tmp_path / "walk.py").write_text(WALK)
    return tmp_path


def steps(folder: Path, chain: int) -> list[int]:
    """The steps that a chain has taken since the last look."""
    path = folder / f"steps-{chain}"
    taken = [int(step) for step in path.read_text().split()] if path.exists() else []
    path.unlink(missing_ok=True)
    return taken


def drawn(folder: Path, store: str = "store") -> dict[str, np.ndarray]:
    """The draws of the only fit of the file."""
    plan, opened = make_plan(read_config(folder / "benchmarks.yaml")), Store(folder / store)
    (key,) = plan.fits
    record = opened.record(FITS, key)
    assert record is not None
    assert record["status"] == "ok", record["reason"]
    return opened.draws(FITS, key, record).arrays


def run(folder: Path, *arguments: str) -> Any:
    """Run the file, with a worker only where something dies."""
    return called("run", "-j", "1" if (folder / "die-at").exists() else "0", *arguments, folder=folder)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(array, other[name]) for name, array in one.items())


def test_a_killed_chain_goes_on_to_the_same_bits(folder: Path) -> None:
    assert run(folder, "--store", "whole").returncode == 0
    assert (steps(folder, 0), steps(folder, 1)) == ([*range(6)], [*range(6)])
    (folder / "die-at").write_text("4")
    assert run(folder).returncode == 1
    assert (steps(folder, 0), steps(folder, 1)) == ([*range(4)], [*range(4)])
    (folder / "die-at").unlink()
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert (steps(folder, 0), steps(folder, 1)) == ([4, 5], [4, 5])
    assert same(drawn(folder), drawn(folder, "whole"))


def test_a_chain_that_went_on_has_the_time_of_all_its_tasks_and_what_was_said_of_its_state(folder: Path) -> None:
    (folder / "die-at").write_text("4")
    assert run(folder).returncode == 1
    (folder / "die-at").unlink()
    store = Store(folder / "store")
    for key in store.keys(STATES):
        record = store.record(STATES, key)
        assert record is not None
        assert record["seconds"] > 0
        before = {"seconds": 1000.0, "cpu_seconds": 900.0, "note": "continued after 2 draws"}
        store.write_arrays(STATES, key, changed(record, **before), store.arrays(STATES, key, record))
    assert called("run", "-j", "1", folder=folder).returncode == 0, "in a worker, as before"
    (key,) = store.keys(FITS)
    fit = store.record(FITS, key)
    assert fit is not None
    assert [1000 < chain["seconds"] < 1100 for chain in fit["chains"]] == [True, True]
    assert [900 < chain["cpu_seconds"] < 1000 for chain in fit["chains"]] == [True, True]
    assert 2000 < fit["seconds"] < 2200
    assert fit["diagnostics"]["continued"] == "continued after 2 draws"


def test_more_draws_go_on_from_those_that_are_there(folder: Path) -> None:
    assert run(folder).returncode == 0
    first = drawn(folder)
    steps(folder, 0), steps(folder, 1)
    (folder / "benchmarks.yaml").write_text(FILE.replace("draws: 12, chains: 2", "draws: 30, chains: 3"))
    assert run(folder).returncode == 0
    assert [steps(folder, chain) for chain in range(3)] == [[*range(6, 10)], [*range(6, 10)], [*range(10)]]
    longer = drawn(folder)
    assert all(np.array_equal(longer[name][:2, :6], array) for name, array in first.items())
    assert run(folder, "--fresh").returncode == 0
    assert [steps(folder, chain) for chain in range(3)] == [[*range(10)]] * 3, "--fresh begins anew"
    assert same(drawn(folder), longer)


@pytest.mark.slow
def test_a_chain_that_begins_otherwise_is_another(folder: Path) -> None:
    assert run(folder).returncode == 0
    steps(folder, 0), steps(folder, 1)
    (folder / "benchmarks.yaml").write_text(FILE.replace("draws: 12", "draws: 16, scale: 2.0"))
    assert run(folder).returncode == 0
    assert steps(folder, 0) == [*range(8)]


def test_a_finished_fit_keeps_one_state_a_chain(folder: Path) -> None:
    assert run(folder).returncode == 0
    store = Store(folder / "store")
    assert [key.rpartition("-")[0][-2:] for key in store.keys(STATES)] == ["-0", "-1"]
    sizes = [
        sum(file.stat().st_size for file in store.place(STATES, key).glob("*.safetensors"))
        for key in store.keys(STATES)
    ]
    (key,) = store.keys(FITS)
    assert sum(sizes) < (store.place(FITS, key) / DRAWS).stat().st_size


@pytest.mark.parametrize("damage", ["state", pytest.param("draws", marks=pytest.mark.slow)])
def test_a_damaged_state_is_not_gone_on_from(folder: Path, damage: str) -> None:
    """The state before it serves, or the beginning; the bits are the same."""
    (folder / "die-at").write_text("4")
    assert run(folder).returncode == 1
    (folder / "die-at").unlink()
    steps(folder, 0)
    states = Store(folder / "store")
    for key in states.keys(STATES):
        number = int(key.rpartition("-")[2])
        if (number < 2) == (damage == "state"):
            path = states.place(STATES, key) / "arrays.safetensors"
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.write_bytes(content)
    assert run(folder).returncode == 0
    assert steps(folder, 0) == [*range(6)]
    assert run(folder, "--store", "whole").returncode == 0
    assert same(drawn(folder), drawn(folder, "whole"))


@pytest.mark.slow
def test_a_state_of_other_data_is_not_gone_on_from(folder: Path) -> None:
    (folder / "die-at").write_text("4")
    assert run(folder).returncode == 1
    (folder / "die-at").unlink()
    steps(folder, 0)
    text = (folder / "light.py").read_text()
    (folder / "light.py").write_text(text.replace("x[:, 0] > x[:, 1]", "x[:, 0] > 1 - x[:, 1]"))
    assert run(folder).returncode == 0
    assert steps(folder, 0) == [*range(6)]


def test_states_are_shown_and_removed_with_their_fits(folder: Path) -> None:
    assert run(folder).returncode == 0
    shown = called("store", "info", folder=folder).stdout
    assert json.loads(shown.split("states")[1].split()[0]) == 2
    (folder / "benchmarks.yaml").write_text(FILE.replace("draws: 12", "draws: 4"))
    assert called("store", "gc", "--keep", "benchmarks.yaml", folder=folder).returncode == 0
    assert list(Store(folder / "store").keys(STATES)) == []


def test_states_of_other_fits_are_read_once_by_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is read in full only if it states the beginning that is looked for, and again if it was replaced."""
    store, letters = Store(tmp_path / "store"), "abcd"

    def write(letter: str, beginning: str) -> None:
        fields = {"kind": "state", "status": "ok", "reason": "", "identity": {"beginning": "0" * 64}}
        store.write_arrays(STATES, f"{letter * 64}-0-0", {**fields, "beginning": beginning * 64}, {})

    def found(*beginnings: str) -> list[str]:
        wanted = {beginning * 64 for beginning in beginnings}
        return [record["key"][0] for record in stored_memory._beginning_with(wanted, store.keys(STATES), store)]

    reads: list[str] = []
    full: list[str] = []
    read_plain, record = stored_memory.read_plain, Store.record

    def reading(path: Path) -> bytes:
        reads.append(path.parent.name[0])
        return read_plain(path)

    def reading_in_full(self: Store, kind: str, key: str) -> dict[str, Any] | None:
        full.append(key[0])
        return record(self, kind, key)

    monkeypatch.setattr(stored_memory, "read_plain", reading)
    monkeypatch.setattr(Store, "record", reading_in_full)
    with store.held():
        for letter in letters:
            write(letter, "1" if letter < "c" else "2")
        assert (sorted(found("1")), sorted(found("2")), found("3")) == (["a", "b"], ["c", "d"], [])
        assert (sorted(reads), sorted(full)) == ([*letters], [*letters])
        write("a", "3")
        assert (found("1"), found("3")) == (["b"], ["a"])
        assert (reads[4:], full[4:]) == (["a"], ["b", "a"])
        assert found("0") == []
        (store.place(STATES, "b" * 64 + "-0-0") / "record.json").unlink()
        assert sorted(found("1", "2")) == ["c", "d"]


def test_states_that_came_from_a_cluster_are_tidied_where_the_run_is(folder: Path) -> None:
    """The worker that joins the chains has a store of its own there, without their states."""
    ((key, fit),) = make_plan(read_config(folder / "benchmarks.yaml")).fits.items()
    store = Store(folder / "store")
    with store.held():
        for number, fields in enumerate(({"draws": 4}, {"draws": 6, "ended": True}, {}, {})):
            record = record_of_part(fit, 0, Ending("ok"), **{"draws": 0, "ended": False, **fields})
            store.write(STATES, f"{key}-0-{number}", record)
        _collect(Task("walk", fit), Ended("ok", recorded=True), store, Setting(str(store.path), "cpu", 1))
    assert list(store.keys(STATES)) == [f"{key}-0-1"]
