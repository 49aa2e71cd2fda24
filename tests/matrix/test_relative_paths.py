"""Files that a benchmarks file names are found from wherever a task runs."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan

FILE = """\
epsilons: [0.05]
datasets: {moons: {use: half-moons}}
networks: {own: {use: 'net.py:Net'}}
posteriors: {kept: {use: saved, path: draws/kept.safetensors}}
attacks: {fgsm: }
"""

NET = """\
import torch

class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
"""


def zeros() -> bb.Data:
    x, y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    return bb.Data(train=(x, y), test=(x, y))


def test_relative_files_are_found_after_the_working_directory_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "draws").mkdir()
    (tmp_path / "elsewhere").mkdir()
    draws = {name: torch.zeros(1, 3, *w.shape) for name, w in torch.nn.Linear(2, 2).state_dict().items()}
    bb.Predictive(torch.nn.Linear(2, 2), bb.Draws(draws)).save(tmp_path / "draws" / "kept.safetensors")
    expected = make_plan(read_config(tmp_path / "benchmarks.yaml"))
    for start, path in ((tmp_path, "benchmarks.yaml"), (tmp_path / "draws", "../benchmarks.yaml")):
        monkeypatch.chdir(start)
        plan = make_plan(read_config(path))
        monkeypatch.chdir(tmp_path / "elsewhere")
        (fit,) = pickle.loads(pickle.dumps(plan)).fits.values()
        assert [fit.key] == list(expected.fits)
        built = fit.network.build(zeros())
        assert len(fit.posterior.fit(built, zeros(), seed=0)) == 3
