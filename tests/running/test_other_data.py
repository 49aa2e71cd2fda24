"""Data sets that give other data than before are caught."""

from __future__ import annotations

from pathlib import Path

import light
import pytest

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.pool.job import Setting
from bnnbench.running.tasks.fit_task import run_part
from bnnbench.store.store import CHAINS, Store

pytestmark = pytest.mark.integration

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 1}}
attacks: {fgsm: , random: {use: random-sign}}
"""
OTHER_DATA = """
import pathlib
import torch
from bnnbench import Data, Dataset

def data(seed):
    x = torch.rand(60, 2, generator=torch.Generator().manual_seed(seed))
    y = torch.arange(60) % 2
    return Data(train=(x[:40], y[:40]), test=(x[40:], y[40:]))

class Wandering(Dataset):
    '''Other points once there is a file.'''
    def load(self, seed):
        return data(seed + pathlib.Path(__file__).with_name("moved").exists())

class Retested(Dataset):
    '''Another test set for each seed.'''
    def load(self, seed):
        return data(seed)
"""


def written(folder: Path, text: str) -> Path:
    (folder / "other_data.py").write_text(OTHER_DATA)
    path = folder / "benchmarks.yaml"
    path.write_text(FILE + text)
    return path


def test_data_that_differ_between_fit_and_attack_are_caught(tmp_path: Path) -> None:
    path = written(tmp_path, "datasets: {wandering: {use: 'other_data.py:Wandering'}}\n")
    assert bb.run(path, store=tmp_path / "store", jobs=0, only=["fgsm"]).complete
    (tmp_path / "moved").touch()
    before, after = bb.run(path, store=tmp_path / "store", jobs=0).rows()
    assert before["status"] == "ok"
    assert after["status"] == "invalid"
    assert "Wandering gave other data than before" in after["reason"]


def test_test_data_that_differ_between_seeds_are_caught(tmp_path: Path) -> None:
    text = (
        "datasets: {retested: {use: 'other_data.py:Retested'}, moons: {use: half-moons, train_size: 40, test_size: 20}}"
    )
    path = written(tmp_path, f"seeds: [3, 4]\n{text}\n")
    results = bb.run(path, store=tmp_path / "store", jobs=0, only=["random"])
    found = {(row["dataset"], row["seed"]): (row["status"], row["reason"]) for row in results.rows()}
    status, reason = found.pop(("retested", 4))
    assert status == "invalid"
    assert reason.endswith(
        "Retested gave other test data for seed 4 than for seed 3: a seed varies the training sample alone"
    )
    assert found == dict.fromkeys([("retested", 3), ("moons", 3), ("moons", 4)], ("ok", ""))


def test_chains_of_other_data_are_sampled_again_by_the_next_run(tmp_path: Path) -> None:
    """Two of three chains are those of a run that was stopped before the data moved."""
    text = FILE.replace("sgd: {epochs: 1}", "chains: {use: 'light.py:Chains', draws: 6, chains: 3}")
    path = light.written(tmp_path, f"{text}datasets: {{wandering: {{use: 'other_data.py:Wandering'}}}}\n")
    (tmp_path / "other_data.py").write_text(OTHER_DATA)
    (fit,) = make_plan(read_config(path)).fits.values()
    store = Store(tmp_path / "store")
    with store.held():
        for chain in (0, 2):
            assert run_part(fit, chain, Setting(str(store.path), "cpu", 1)) == "ok"
    (tmp_path / "moved").touch()
    first = bb.run(path, store=store.path, jobs=0, only=["fgsm"])
    (row,) = first.rows()
    assert row["status"] == "invalid"
    assert "Wandering gave other data than before" in row["reason"]
    assert list(store.keys(CHAINS)) == [fit.part_key(1)]
    assert bb.run(path, store=store.path, jobs=0, only=["fgsm"]).complete
    assert list(store.keys(CHAINS)) == []
