"""A network that reads another file than when it was fitted is another network: the two share no row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.running.observer import Silent
from bnnbench.running.schedule import Schedule
from bnnbench.store.store import FITS, Store

NET = """
import os
from pathlib import Path

import torch

import bnnbench as bb

HERE = Path(__file__).parent


def number():
    return float((HERE / "scale.txt").read_text())


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.scale = self.find()

    def find(self):
        return number()

    def forward(self, x):
        return self.layer(x) * self.scale


class Lazy(Net):
    scale = None

    def find(self):
        return None

    def forward(self, x):
        return self.layer(x) * number()


class Optional(Net):
    def find(self):
        return number() if (HERE / "scale.txt").exists() else 2.0


class Variable(Net):
    def find(self):
        return float(os.environ["SCALE_OF_A_TEST"])


class Component(bb.Network):
    def build(self, data):
        return Net()


class Refusing(bb.Network):
    def build(self, data):
        if number() > 1:
            raise bb.Incompatible("too large")
        return Net()


class Checkpoint(Net):
    def find(self):
        return torch.load(HERE / "scale.pt")
"""
FILE = """\
epsilons: [0.1]
evaluate: {{images: 10, draws: 2}}
datasets: {{moons: {{use: half-moons, train_size: 20, test_size: 10}}}}
networks: {{net: {{use: 'net.py:{network}'}}}}
posteriors: {{fit: {posterior}}}
attacks: {{{attacks}}}
"""
SGD = "{use: sgd, epochs: 1}"
HMC = "{use: pyro-hmc, draws: 4, chains: 2, warmup: 1, leapfrog_steps: 2}"


class Noting(Silent):
    """Keeps the notes of a run."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def written(
    folder: Path, scale: float | None, attacks: str = "fgsm: ", network: str = "Net", posterior: str = SGD
) -> Path:
    (folder / "net.py").write_text(NET)
    if scale is not None:
        (folder / "scale.txt").write_text(str(scale))
        torch.save(scale, folder / "scale.pt")
    path = folder / "benchmarks.yaml"
    path.write_text(FILE.format(attacks=attacks, network=network, posterior=posterior))
    return path


def rows(results: Results) -> dict[str, dict[str, Any]]:
    return {row["attack"]: row for row in results.rows()}


def reported(path: Path) -> Results:
    return Results(make_plan(read_config(path)), Store(path.parent / "store"))


def ran(path: Path, observer: Any = None) -> dict[str, dict[str, Any]]:
    return rows(bb.run(path, store=path.parent / "store", jobs=0, observer=observer))


@pytest.mark.parametrize(
    ("network", "posterior"),
    [("Net", SGD), ("Lazy", SGD), ("Component", SGD), ("Checkpoint", SGD), ("Optional", SGD), ("Net", HMC)],
)
def test_a_changed_file_makes_the_fit_and_its_cells_anew(network: str, posterior: str, tmp_path: Path) -> None:
    path = written(tmp_path, 1.0, network=network, posterior=posterior)
    first = ran(path)["fgsm"]
    assert first["status"] == "ok"
    written(tmp_path, 0.0, "fgsm: , random-sign: ", network, posterior)
    told = rows(reported(path))
    file = "scale.pt" if network == "Checkpoint" else "scale.txt"
    assert {row["status"] for row in told.values()} == {"missing"}
    assert f"{file}, which its network read when it was fitted, has changed since" in told["fgsm"]["reason"]
    assert list(Schedule(make_plan(read_config(path)), Store(tmp_path / "store")).changed.values()) == [
        str(tmp_path / file)
    ]
    noting = Noting()
    after = ran(path, noting)
    assert any(f"is fitted anew: {tmp_path / file}, which it depends on, has changed" in note for note in noting.notes)
    assert {row["status"] for row in after.values()} == {"ok"}
    assert after["fgsm"]["softmax_robustness"] == after["random-sign"]["softmax_robustness"] == 1.0
    assert first["softmax_robustness"] < 1.0
    # Nothing is left to do, and what was there before is there no more.
    assert Schedule(make_plan(read_config(path)), Store(tmp_path / "store")).size == 0
    written(tmp_path, 1.0, "fgsm: ", network, posterior)
    assert rows(reported(path))["fgsm"]["status"] == "missing"
    assert ran(path)["fgsm"]["softmax_robustness"] == first["softmax_robustness"]


def test_draws_that_stay_the_same_do_not_hide_that_the_network_changed(tmp_path: Path) -> None:
    """Another benchmarks file of the same store has cells with the same draws."""
    generator = torch.Generator().manual_seed(0)
    draws = {"layer.weight": torch.randn(1, 2, 2, 2, generator=generator), "layer.bias": torch.zeros(1, 2, 2)}
    bb.Predictive(_twin(), bb.Draws(draws)).save(tmp_path / "draws.safetensors")
    posterior = "{use: saved, path: draws.safetensors}"
    path = written(tmp_path, 1.0, "fgsm: ", posterior=posterior)
    first = ran(path)["fgsm"]
    assert first["status"] == "ok", first["reason"]
    written(tmp_path, 2.0, "random-sign: ", posterior=posterior)
    assert ran(path)["random-sign"]["status"] == "ok"
    written(tmp_path, 2.0, "fgsm: , random-sign: ", posterior=posterior)
    told = rows(reported(path))
    assert (told["fgsm"]["status"], told["random-sign"]["status"]) == ("missing", "ok")
    assert "its fit was computed anew since" in told["fgsm"]["reason"]


def _twin() -> torch.nn.Module:
    class Twin(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    return Twin()


def test_a_file_that_is_gone_when_a_cell_is_computed_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, 1.0, network="Optional")
    assert ran(path)["fgsm"]["status"] == "ok"
    (tmp_path / "scale.txt").unlink()
    assert rows(reported(path))["fgsm"]["status"] == "ok"  # As on a computer that has the store alone.
    path = written(tmp_path, None, "fgsm: , random-sign: ", network="Optional")
    after = ran(path)
    assert (after["fgsm"]["status"], after["random-sign"]["status"]) == ("ok", "invalid")
    assert after["random-sign"]["reason"] == (
        f"{tmp_path}/net.py:Optional is another network now: {tmp_path}/scale.txt, which it read when it was fitted, "
        "is gone (--fresh fits it anew)"
    )


def test_a_network_that_changed_by_anything_else_is_noticed_by_its_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALE_OF_A_TEST", "1")
    path = written(tmp_path, 1.0, network="Variable")
    assert ran(path)["fgsm"]["status"] == "ok"
    monkeypatch.setenv("SCALE_OF_A_TEST", "2")
    path = written(tmp_path, 1.0, "fgsm: , random-sign: ", network="Variable")
    after = ran(path)
    assert (after["fgsm"]["status"], after["random-sign"]["status"]) == ("ok", "invalid")
    assert "is another network now: with the weights of its fit it does not predict what it did" in str(
        after["random-sign"]["reason"]
    )


def test_a_fit_that_was_skipped_for_a_file_is_tried_again(tmp_path: Path) -> None:
    path = written(tmp_path, 2.0, network="Refusing")
    assert ran(path)["fgsm"]["status"] == "skipped"
    assert Schedule(make_plan(read_config(path)), Store(tmp_path / "store")).size == 0
    written(tmp_path, 1.0, network="Refusing")
    assert ran(path)["fgsm"]["status"] == "ok"


def test_records_of_networks_without_files_are_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALE_OF_A_TEST", "1")
    path = written(tmp_path, 1.0, network="Variable")
    ran(path)
    store = Store(tmp_path / "store")
    (key,) = store.keys(FITS)
    assert "network_files" not in (store.record(FITS, key) or {})
