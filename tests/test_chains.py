"""Chains: together they are what they are apart, in one process or in several, and none is sampled twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plugged import bnnbench, install, rows

import bnnbench as bb
from bnnbench.core.chains import joined
from bnnbench.core.saving import read_draws

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
datasets: {moons: {use: half-moons, train_size: 60, test_size: 30}}
networks: {fc: {hidden: [4]}}
posteriors:
  POSTERIOR
attacks: {fgsm: }
"""
HMC = "{draws: 6, chains: 3, warmup: 2, leapfrog_steps: 3, step_size: 0.05, adapt_step_size: false}"

COUNTED = '''
import pathlib
import numpy as np
import bnnbench as bb

class Counted(bb.NormalPrior, bb.IndependentChains):
    """Random weights; chain 1 fails until a file says otherwise; each call leaves a mark."""

    def fit_chain(self, network, data, *, seed, chain, progress=bb.no_progress):
        with open(f"calls-{chain}", "a") as file:
            file.write("x")
        if chain == 1 and not pathlib.Path("mended").exists():
            raise RuntimeError("on purpose")
        generator = np.random.default_rng([seed, chain])
        return bb.Draws(
            {name: generator.normal(size=(1, self.per_chain, *weight.shape)).astype("f4")
             for name, weight in network.state_dict().items()},
            diagnostics={"gradients": 5, "acceptance": np.full((1, self.per_chain), 0.5)},
        )

@bb.hookimpl
def bnnbench_register(registry):
    registry.posterior("counted", Counted)
'''


def chain(value: float, **diagnostics: object) -> bb.Draws:
    return bb.Draws({"w": np.full((1, 2, 3), value)}, shared={"b": np.ones(2)}, diagnostics=diagnostics)


def test_chains_are_put_one_behind_another_with_what_is_known_of_them() -> None:
    both = joined(
        [
            chain(0.0, gradients=3, divergences=np.array([[True, False]]), unfinished="x", lost=[None, 1.0]),
            chain(1.0, gradients=4, divergences=[[False, False]], unfinished="x", lost=[2.0, 3.0]),
        ]
    )
    assert both.arrays["w"].shape == (2, 2, 3)
    assert both.arrays["w"][:, 0, 0].tolist() == [0, 1]
    assert both.shared["b"].tolist() == [1, 1]
    assert both.diagnostics["gradients"] == 7
    assert both.diagnostics["divergences"].tolist() == [[True, False], [False, False]]
    assert both.diagnostics["unfinished"] == "x"
    assert np.isnan(both.diagnostics["lost"][0])


@pytest.mark.parametrize(
    "other",
    [
        bb.Draws({"v": np.zeros((1, 2, 3))}, shared={"b": np.ones(2)}),
        bb.Draws({"w": np.zeros((1, 2, 4))}, shared={"b": np.ones(2)}),
        bb.Draws({"w": np.zeros((1, 2, 3))}, shared={"b": np.zeros(2)}),
        bb.Draws({"w": np.zeros((1, 2, 3))}),
        chain(0.0, gradients=1),
    ],
)
def test_chains_that_do_not_fit_together_are_refused(other: bb.Draws) -> None:
    with pytest.raises(ValueError, match=r"chains do not have the same|dimensions"):
        joined([chain(0.0), other])


@pytest.mark.parametrize("name", ["pyro-hmc", pytest.param("numpyro-hmc", marks=pytest.mark.slow)])
def test_a_matrix_samples_chains_apart_and_gets_what_one_process_gets(name: str, tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.yaml"
    path.write_text(FILE.replace("POSTERIOR", f"{name}: {HMC}"))
    results = bb.run(path, store=tmp_path / "store", jobs=2)
    (cell,) = results.cells
    assert cell.status == "ok", cell.reason
    record = results.fit_record(cell.spec.fit)
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


def test_a_chain_that_fails_fails_the_fit_and_the_others_are_kept(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE.replace("POSTERIOR", "counted: {draws: 6, chains: 3}"))
    seen = install(tmp_path / "site", COUNTED)
    calls = [tmp_path / f"calls-{number}" for number in range(3)]
    done = bnnbench("run", folder=tmp_path, environment=seen)
    assert done.returncode == 1, done.stderr
    assert "chain 2 of 3: failed" in done.stderr
    (row,) = rows(tmp_path, seen)
    assert row["status"] == "skipped"
    assert row["reason"] == "its fit failed: chain 2: RuntimeError: on purpose"
    assert [path.read_text() for path in calls] == ["x", "x", "x"]
    planned = bnnbench("plan", folder=tmp_path, environment=seen).stdout
    assert "counted on moons (fc): failed; 2 of 3 chains and 0 of 1 cell done" in planned

    (tmp_path / "mended").touch()
    done = bnnbench("run", folder=tmp_path, environment=seen)
    assert done.returncode == 0, done.stderr
    assert [path.read_text() for path in calls] == ["x", "xx", "x"]
    (row,) = rows(tmp_path, seen)
    assert row["status"] == "ok"
    assert not list((tmp_path / "store" / "chains").iterdir())


@pytest.mark.slow
def test_chains_are_sampled_anew_if_asked(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE.replace("POSTERIOR", "counted: {draws: 6, chains: 3}"))
    (tmp_path / "mended").touch()
    seen = install(tmp_path / "site", COUNTED)
    for arguments in ([], ["--fresh"]):
        done = bnnbench("run", *arguments, folder=tmp_path, environment=seen)
        assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"calls-{number}").read_text() for number in range(3)] == ["xx"] * 3
