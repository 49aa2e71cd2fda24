"""What holds for the bridge to every attack library."""

from __future__ import annotations

import random
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import called
from hyperplanes import linear_problem
from known import random_ensemble, random_inputs
from peers import FROM_THE_START, MODULES, PROJECTED, needed

import bnnbench as bb
from bnnbench.core.rules.attack_run import check_repeatable, craft

FILE = """\
epsilons: [0.05]
evaluate: {{images: 40}}
datasets: {{moons: {{use: half-moons, train_size: 100, test_size: 60}}}}
networks: {{fc: {{hidden: [8]}}}}
posteriors: {{sgd: {{epochs: 3}}}}
attacks:
  peer: {{use: {library}, {more}}}
"""
PASSES = {"adv-lib": (21, 21), "foolbox": (21, 20), "pyautoattack": (22, 21), "torchattacks": (20, 20)}
"""Queries of 20 steps, with and without gradient, and those with gradient alone, for images that nothing breaks."""


@pytest.fixture(params=sorted(MODULES))
def library(request: pytest.FixtureRequest) -> str:
    needed(request.param)
    return str(request.param)


def gone(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """Make a library look as if it were not installed."""
    version = metadata.version

    def asked(name: str) -> str:
        if name == library:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", asked)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_library_that_is_not_installed_is_named_before_anything_runs(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone(monkeypatch, name)
    remedy = f"{name} is not installed: pip install 'bnnbench[{name}]'"
    with pytest.raises(bb.ParameterError) as refused:
        bb.attack(name)
    assert remedy in str(refused.value)
    (tmp_path / "benchmarks.yaml").write_text(FILE.format(library=name, more="parameters: {}"))
    for command in ("plan", "run"):
        done = called(command, folder=tmp_path)
        assert done.returncode == 2
        assert remedy in done.stderr.replace("\n", " ")
        assert not (tmp_path / "store").exists()


def test_projected_gradients_break_exactly_what_can_be_broken(library: str) -> None:
    predictive, x, y, exact = linear_problem((1, 8, 8), classes=2, images=40, low=0.2, high=0.8)
    epsilon = float(np.median(exact["linf"]))
    clear = np.abs(exact["linf"] - epsilon) > 1e-4
    result = bb.attack(library, **PROJECTED[library]).run(predictive, x[clear], y[clear], epsilon)
    assert result.success.tolist() == (exact["linf"][clear] < epsilon).tolist()
    assert result.success.any()
    assert not result.success.all()


def test_the_box_of_the_data_is_kept(library: str) -> None:
    predictive, x, y, exact = linear_problem((1, 8, 8), classes=2, images=40, low=0.2, high=0.8)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    weight, bias = predictive.draws["1.weight"], predictive.draws["1.bias"]
    # The same classifier of inputs 4 x - 1, whose box is (-1, 3).
    moved = bb.Predictive(network, {"1.weight": weight / 4, "1.bias": bias + weight.sum(-1) / 4})
    epsilon = float(np.median(exact["linf"]))
    clear = np.abs(exact["linf"] - epsilon) > 1e-4
    threat = bb.Threat(epsilon=4 * epsilon, bounds=(-1, 3))
    result = bb.attack(library, **PROJECTED[library]).run(moved, 4 * x[clear] - 1, y[clear], threat)
    assert result.success.tolist() == (exact["linf"][clear] < epsilon).tolist()


def test_every_query_is_counted(library: str) -> None:
    predictive, x, y, exact = linear_problem((1, 8, 8), classes=2, images=12)
    threat = bb.Threat(epsilon=float(exact["linf"].min()) / 2)
    (made,) = craft(bb.attack(library, **PROJECTED[library]), predictive, x, y, [threat], seed=0)
    assert made.forward_passes.tolist() == [PASSES[library][0]] * len(x)
    assert made.gradient_passes.tolist() == [PASSES[library][1]] * len(x)


def test_the_seed_alone_decides_and_global_random_states_stay(library: str) -> None:
    predictive, x, y, _ = linear_problem((1, 4, 4), images=9)
    norm, parameters = FROM_THE_START[library]
    attack, threat = bb.attack(library, **parameters, batch_size=4), bb.Threat(epsilon=0.5, norm=norm)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again, other = (attack(predictive, x, y, threat, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == x.dtype
    check_repeatable(attack, predictive, x, y, [threat, bb.Threat(epsilon=0.6, norm=norm)], seed=3)


def test_no_radius_is_no_attack(library: str) -> None:
    predictive, (x, y) = random_ensemble(draws=3), random_inputs()
    assert torch.equal(bb.attack(library, **PROJECTED[library])(predictive, x, y, bb.Threat(epsilon=0)), x)


def test_another_norm_is_skipped_or_followed(library: str) -> None:
    predictive, x, y, _ = linear_problem((1, 8, 8), images=6)
    attack = bb.attack(library, **PROJECTED[library])
    threat = bb.Threat(epsilon=0.5, norm="l2")
    if library in ("adv-lib", "pyautoattack"):  # These take the norm as a parameter.
        assert (threat.distance(x, attack(predictive, x, y, threat)) <= 0.5 + 1e-6).all()
    else:
        with pytest.raises(bb.Incompatible, match="is not defined for the l2 norm, but for linf"):
            attack(predictive, x, y, threat)


def test_gradients_are_refused_under_a_threat_that_gives_scores(library: str) -> None:
    predictive, x, y, _ = linear_problem((1, 8, 8), images=6)
    with pytest.raises(bb.GradientRefused):
        bb.attack(library, **PROJECTED[library])(predictive, x, y, bb.Threat(epsilon=0.1, access="scores"))


def test_the_version_of_the_library_is_part_of_the_identity(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = bb.attack(library).identity()
    assert installed["fingerprint"] == f"{library} {metadata.version(library)}"
    monkeypatch.setattr(metadata, "version", lambda name: "99.0")
    assert bb.attack(library).identity() == installed | {"fingerprint": f"{library} 99.0"}


@pytest.mark.parametrize("given", ["model", "predict", "eps", "epsilon", "inputs"])
def test_what_the_threat_says_is_no_parameter(library: str, given: str) -> None:
    with pytest.raises(bb.ParameterError, match=f"'{given}'"):
        bb.attack(library, attack=PROJECTED[library]["attack"], parameters={given: 0.3})


def test_misspelt_names_are_errors_of_the_file(library: str, tmp_path: Path) -> None:
    attack, (name, *_) = PROJECTED[library]["attack"], PROJECTED[library]["parameters"]

    def told(more: str) -> str:
        (tmp_path / "benchmarks.yaml").write_text(FILE.format(library=library, more=more))
        done = called("plan", folder=tmp_path)
        assert done.returncode == 2
        return " ".join(done.stderr.split())

    wrong = attack[:-1]
    assert f"{library} has no attack '{wrong}'; did you mean '{attack}'?" in told(f"attack: {wrong}")
    close = f"{library}'s {attack} has no parameter '{name}x'; did you mean '{name}'?"
    assert close in told(f"attack: {attack}, parameters: {{{name}x: 1}}")


def test_a_benchmark_runs_and_is_kept(library: str, tmp_path: Path) -> None:
    own: dict[str, Any] = PROJECTED[library]
    parameters = ", ".join(f"{name}: {value}" for name, value in own["parameters"].items())
    more = f"attack: {own['attack']}, parameters: {{{parameters}}}"
    (tmp_path / "benchmarks.yaml").write_text(FILE.format(library=library, more=more))
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    (row,) = results.rows("cells")
    assert row["status"] == "ok", row["reason"]
    assert 0 < row["robust_accuracy"] <= row["clean_accuracy"]
    assert row["mean_gradient_passes"] > 0
    again = called("run", "-j", "0", folder=tmp_path)
    assert again.returncode == 0, again.stderr


@pytest.mark.integration
def test_importing_the_bridges_imports_no_library() -> None:
    code = (
        "import sys; from bnnbench.plugins.installed import registry;"
        "[entry.load() for entry in registry().entries if entry.plugin == 'bridges'];"
        f"print([name for name in ('torch', 'adv_lib', *{sorted(MODULES.values())!r}) if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
