"""Chains of one fit in processes of their own: none is sampled twice."""

from __future__ import annotations

from pathlib import Path

import light
import pytest

import bnnbench as bb
from bnnbench.core.draws_file import read_draws
from bnnbench.store.store import FITS

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: {hidden: [4]}}
posteriors:
  POSTERIOR
attacks: {fgsm: }
"""

HMC = "{draws: 6, chains: 3, warmup: 2, leapfrog_steps: 3, step_size: 0.05, adapt_step_size: false}"


@pytest.mark.parametrize("name", ["pyro-hmc", pytest.param("numpyro-hmc", marks=pytest.mark.slow)])
def test_a_matrix_samples_chains_apart_and_gets_what_one_process_gets(name: str, tmp_path: Path) -> None:
    path = light.written(tmp_path, FILE.replace("POSTERIOR", f"{name}: {HMC}"))
    results = bb.run(path, store=tmp_path / "store", jobs=2)
    (cell,) = results.cells
    assert cell.status == "ok", cell.reason
    record = results.store.record(FITS, cell.spec.fit.key)
    assert record is not None
    assert len(record["chains"]) == 3
    assert record["seconds"] >= sum(part["seconds"] for part in record["chains"])
    assert not list((tmp_path / "store" / "chains").iterdir())
    stored, _ = read_draws(tmp_path / "store" / "fits" / cell.spec.fit.key / "draws.safetensors")
    data = cell.spec.fit.dataset.load(0)
    alone = cell.spec.fit.posterior.fit(cell.spec.fit.network.build(data), data, seed=0)
    assert stored.arrays.keys() == alone.arrays.keys()
    for key, array in alone.arrays.items():
        assert stored.arrays[key].shape == (3, 2, *array.shape[2:])
        assert stored.arrays[key] == pytest.approx(array, abs=1e-5)
    assert stored.diagnostics["gradients"] == alone.diagnostics["gradients"]
