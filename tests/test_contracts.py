"""Every plugin that breaks a rule is caught, named and recorded, in a program of one's own and in a matrix."""

from __future__ import annotations

import json
import re
from pathlib import Path

import bad_plugins
import pytest
import torch
from plugged import bnnbench, install

import bnnbench as bb

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
"""
HALF_MOONS = bb.dataset("half-moons", train_size=100, test_size=50)


def network(data: bb.Data) -> torch.nn.Module:
    return bb.network("fc", hidden=(4,)).build(data)


@pytest.mark.parametrize("name", bad_plugins.ATTACKS)
def test_an_attack_is_caught_in_a_program(name: str) -> None:
    data = HALF_MOONS.load(seed=0)
    predictive = bb.fit(bb.posterior("sgd", epochs=1), network(data), data)

    def tried() -> None:
        for _ in range(20):  # A moody one may be in the same mood twice, but 20 times once in 10^6 times.
            bb.evaluate(predictive, bad_plugins.ATTACKS[name](), data, epsilon=0.05, images=20)

    with pytest.raises(bb.ContractBreach, match=bad_plugins.WRONG["attack"][name]) as caught:
        tried()
    assert "bad_plugins." in str(caught.value)


@pytest.mark.parametrize("name", [name for name in bad_plugins.POSTERIORS if name not in ("stuck", "all-diverged")])
def test_a_posterior_is_caught_in_a_program(name: str) -> None:
    data = HALF_MOONS.load(seed=0)

    def tried() -> None:
        predictive = bb.fit(bad_plugins.POSTERIORS[name](), network(data), data)
        bb.evaluate(predictive, bb.attack("fgsm"), data, epsilon=0.05, images=20)

    with pytest.raises(bb.ContractBreach, match=bad_plugins.WRONG["posterior"][name]):
        tried()


def test_every_bad_plugin_is_caught_in_a_matrix(tmp_path: Path) -> None:
    environment = install(tmp_path, Path(bad_plugins.__file__).read_text(), "bad_plugins")
    attacks = "".join(f"  {name}: {{}}\n" for name in bad_plugins.ATTACKS)
    posteriors = "".join(f"  {name}: {{}}\n" for name in bad_plugins.POSTERIORS)
    datasets = "".join(f"  {name}: {{}}\n" for name in bad_plugins.DATASETS)
    (tmp_path / "benchmarks.yaml").write_text(
        f"{FILE}datasets:\n  moons: {{use: half-moons, train_size: 100, test_size: 50}}\n{datasets}"
        f"networks: {{fc: {{hidden: [4]}}}}\nposteriors:\n  sgd: {{epochs: 1}}\n{posteriors}"
        f"attacks:\n  fgsm: {{}}\n{attacks}include:\n  - {{dataset: moons, posterior: sgd}}\n  - {{attack: fgsm}}\n"
    )
    done = bnnbench("run", folder=tmp_path, environment=environment)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    done = bnnbench("report", "--format", "json", folder=tmp_path, environment=environment)
    rows = {(row["dataset"], row["posterior"], row["attack"]): row for row in json.loads(done.stdout)}
    assert rows.pop(("moons", "sgd", "fgsm"))["status"] == "ok"
    for (dataset, posterior, attack), row in rows.items():
        kind, name = (
            ("dataset", dataset)
            if dataset != "moons"
            else ("posterior", posterior)
            if posterior != "sgd"
            else ("attack", attack)
        )
        if name == "moody" and row["status"] == "ok":
            continue  # In the same mood twice.
        assert row["status"] == "invalid", row
        assert re.search(bad_plugins.WRONG[kind][name], row["reason"]), row
        assert row["robust_accuracy"] is None


OTHER_DATA = """
import os
import torch
from bnnbench import Data, Dataset, hookimpl

class Wandering(Dataset):
    '''Other points in each process.'''
    def load(self, seed):
        generator = torch.Generator().manual_seed(os.getpid())
        x = torch.rand(60, 2, generator=generator)
        y = torch.arange(60) % 2
        return Data(train=(x[:40], y[:40]), test=(x[40:], y[40:]))

@hookimpl
def bnnbench_register(registry):
    registry.dataset("wandering", Wandering)
"""


def test_data_that_differ_between_fit_and_attack_are_caught(tmp_path: Path) -> None:
    environment = install(tmp_path, OTHER_DATA, "wandering")
    (tmp_path / "benchmarks.yaml").write_text(
        f"{FILE}datasets: {{wandering: }}\nnetworks: {{fc: {{hidden: [4]}}}}\n"
        "posteriors: {sgd: {epochs: 1}}\nattacks: {fgsm: , random: {use: random-sign}}\n"
    )
    assert bnnbench("run", "--only", "fgsm", folder=tmp_path, environment=environment).returncode == 0
    assert bnnbench("run", folder=tmp_path, environment=environment).returncode == 1
    done = bnnbench("report", "--format", "json", folder=tmp_path, environment=environment)
    before, after = json.loads(done.stdout)
    assert before["status"] == "ok"
    assert after["status"] == "invalid"
    assert "wandering.Wandering gave other data than before" in after["reason"]
