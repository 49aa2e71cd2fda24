"""Broken benchmarks files get one clear line each."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from good_file import GOOD, written

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan


@pytest.mark.parametrize("values", ["[null, none]", "[true, 'true']", "[8, '8']", "[[1, 2], 1x2]", "['a,b', 'a b']"])
def test_swept_values_that_would_share_a_row_are_refused(values: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("class Net: pass\n")
    text = GOOD.replace("{use: fc, hidden: [8, 8]}", f"{{use: 'net.py:Net', sweep: {{width: {values}}}}}")
    with pytest.raises(bb.ConfigError, match=r"networks\.mlp\.sweep\.width has values that tables would call alike"):
        read_config(written(tmp_path, text))


def test_parameters_of_a_file_are_named_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("from torch import nn\nclass Net(nn.Module): pass\n")
    text = GOOD.replace("{use: fc, hidden: [8, 8]}", "{use: 'net.py:Net', width: .inf}")
    with pytest.raises(bb.ConfigError, match=r":9:35: networks\.mlp\.width is inf"):
        read_config(written(tmp_path, text))


def test_a_components_own_error_is_told_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bnnbench_plugins.datasets.half_moons import HalfMoons

    def fails(self: HalfMoons) -> str:
        raise zipfile.BadZipFile("File is not a zip file")

    monkeypatch.setattr(HalfMoons, "fingerprint", fails)
    message = r":6:16: datasets\.moons: half-moons raised BadZipFile: File is not a zip file"
    with pytest.raises(bb.ConfigError, match=message):
        read_config(written(tmp_path, GOOD))


BROKEN = {
    "unknown parameter": ("warmup: 2", "warmpu: 2", ":12:39: posteriors.nuts: numpyro-nuts has no parameter 'warmpu'; did you mean 'warmup'?"),
    "unknown component": ("use: fc", "use: fcc", ":9:14: networks.mlp: no network named 'fcc'; did you mean 'fc'?"),
    "label that is no component": ("  fgsm:", "  fgms:", ":14:3: attacks.fgms: no attack named 'fgms'; did you mean 'fgsm'?"),
    "wrong kind": ("use: fc,", "use: sgd,", "'sgd' is a posterior"),
    "text for a number": ("epochs: 1", "epochs: 'one'", ":11:17: posteriors.sgd.epochs is 'one': input should be a valid integer"),
    "quoted number": ("epochs: 1", "epochs: '1'", "posteriors.sgd.epochs is '1': input should be a valid integer"),
    "true for a number": ("epochs: 1", "epochs: true", "posteriors.sgd.epochs is true: input should be a valid integer"),
    "out of bounds": ("steps: 3", "steps: 0", "attacks.pgd.steps is 0: input should be greater than or equal to 1"),
    "not a number": ("steps: 3", "relative_step_size: .nan", "finite"),
    "unknown objective": ("[expected-loss, log-margin]", "[expected-los]", "no objective named 'expected-los'; did you mean 'expected-loss'?"),
    "unknown top key": ("seeds:", "seed:", ":2:1: there is no key 'seed'; did you mean 'seeds'?"),
    "unknown evaluate key": ("images: 20", "image: 20", ":3:12: evaluate has no key 'image'; did you mean 'images'?"),
    "duplicate key": ("  fgsm:", "  fgsm:\n  fgsm:", ":15:3: found duplicate key"),
    "not yaml": ("seeds: [0, 1]", "seeds: [0, 1", ""),
    "tab": ("  fgsm:", "\tfgsm:", ""),
    "bad label": ("  mlp:", "  MLP:", ":9:3: label 'MLP' does not match"),
    "path in a label": ("  mlp:", "  ../mlp:", "label '../mlp' does not match"),
    "no epsilon": ("epsilons: [0.1, 1e-3]\n", "", "no epsilons"),
    "negative epsilon": ("[0.1, 1e-3]", "[-0.1]", "epsilons.0 is -0.1: input should be greater than or equal to 0"),
    "repeated epsilon": ("[0.1, 1e-3]", "[0.1, 0.1]", "epsilons repeats a value"),
    "seed out of range": ("[0, 1]", "[4294967296]", "seeds.0 is 4294967296: input should be less than or equal to 4294967295"),
    "repeated seed": ("[0, 1]", "[0, 1, 0]", ":2:8: seeds: repeats a value"),
    "repeated swept value": ("[2, 3]", "[2, 3, 2]", "posteriors.nuts.sweep.max_tree_depth repeats a value"),
    "empty section": ("datasets:\n  moons: {use: half-moons, epsilons: [0.02]}\n  digits:\n", "datasets:\n", "datasets is empty"),
    "section is a list": ("  fgsm:\n", "  - fgsm\n", ""),
    "endless memory": ("seeds: [0, 1]\n", f"limits: {{memory: {'9' * 400}GiB}}\n", "no computer has so much memory"),
    "threads without number": ("seeds: [0, 1]\n", "threads: 9000000000\n", "threads is 9000000000"),
    "fresh says it twice": ("draws: 5", "attack_draws: 2, stream: {fresh: 3}", "sees twice: in stream and in attack_draws"),
    "include is a mapping": ("version: 1\n", "version: 1\ninclude: {}\n", "include must be a list of patterns"),
    "sweep of a scalar": ("{max_tree_depth: [2, 3]}", "{max_tree_depth: 2}", "must be a list of values"),
    "set and swept": ("draws: 4", "max_tree_depth: 2", "both sets and sweeps 'max_tree_depth'"),
    "swept value of a wrong type": ("[2, 3]", "[2, deep]", "posteriors.nuts.max_tree_depth is 'deep'"),
    "pattern that matches nothing": ("attacks:", "exclude: [{dataset: mnist}]\nattacks:", "the pattern {dataset: 'mnist'} matches no cell"),
    "unknown pattern key": ("attacks:", "exclude: [{data: digits}]\nattacks:", "no key 'data'; did you mean 'dataset'?"),
    "date": ("hidden: [8, 8]", "hidden: 2020-01-01", "put it in quotes"),
    "other version": ("version: 1", "version: 2", ":1:10: version is 2: input should be 1"),
    "bad duration": ("version: 1", "version: 1\nlimits: {fit: 20 minutes}", "a duration such as 90s, 20m, 2h or 1d is meant"),
    "bad size": ("version: 1", "version: 1\nlimits: {memory: 8G}", "a size such as 512MiB or 8GiB is meant"),
    "stream without draws": ("draws: 5", "stream: fresh", "stream fresh needs attack_draws"),
    "no such file": ("use: fc, hidden: [8, 8]", "use: 'gone.py:Net'", "gone.py"),
    "fraction of a parameter": ("steps: 3", "relative_step_size: 1/8", "is '1/8': YAML has no fractions: write 0.125"),
    "radius that is no number": ("epsilons: [0.02]", "epsilons: [small]", ":6:39: datasets.moons.epsilons.0 is 'small': a number or a fraction such as 8/255 is meant"),
    "radius as a quoted number": ("epsilons: [0.02]", "epsilons: ['0.02']", "is '0.02': a number or a fraction such as 8/255 is meant"),
    "radius divided by zero": ("epsilons: [0.02]", "epsilons: [8/0]", "is '8/0': a fraction cannot be divided by zero"),
    "negative fraction": ("epsilons: [0.02]", "epsilons: [-8/255]", "is '-8/255': input should be greater than or equal to 0"),
    "endless fraction": ("epsilons: [0.02]", f"epsilons: [{'9' * 5000}/1]", "a number or a fraction such as 8/255 is meant"),
    "endless fraction of a parameter": ("steps: 3", f"relative_step_size: {'9' * 5000}/1", "input should be a valid number"),
    "fraction of a threat": ("epsilons: [0.02]", "threats: [{epsilon: 8:255}]", "is '8:255': a number or a fraction such as 8/255 is meant"),
    "fraction twice": ("epsilons: [0.02]", f"epsilons: [8/255, {8 / 255!r}]", "datasets.moons.epsilons repeats a value"),
    "fraction for a list of radii": ("epsilons: [0.02]", "epsilons: 8/255", "a list is meant, such as [8/255]"),
    "pattern with another fraction": ("attacks:", "exclude: [{epsilon: 9/255}]\nattacks:", "the pattern {epsilon: '9/255'} matches no cell"),
    "number for a list": ("hidden: [8, 8]", "hidden: 16", "networks.mlp.hidden is 16: a list is meant, such as [16]"),
    "number for a list of radii": ("epsilons: [0.02]", "epsilons: 0.02", "a list is meant, such as [0.02]"),
    "misspelt section": ("attacks:", "atacks:", "there is no key 'atacks'; did you mean 'attacks'?"),
    "no mapping": ("  digits:\nnetworks:", "  half-moons\nnetworks:", ""),
    "part of a name": ("use: numpyro-nuts", "use: nuts", "did you mean 'numpyro-nuts'?"),
    "part of a parameter": ("steps: 3", "step_size: 0.1", "pgd has no parameter 'step_size'; did you mean 'relative_step_size'?"),
    "attack that is called as a column": ("  fgsm:", "  worst: {use: fgsm}", ":14:3: attacks.worst: 'worst' is a column of tables: give the attack another label"),
    "number for a mapping": ("evaluate: {images: 20, draws: 5}", "evaluate: 20", "evaluate is 20: a mapping is meant"),
    "number for a component": ("  fgsm:\n", "  fgsm: {objective: 3}\n", "fgsm.objective is 3: a name or a mapping is meant"),
    "empty list": ("hidden: [8, 8]", "hidden: []", "networks.mlp.hidden: a list of at least 1 is meant, not of 0"),
    "wrong item": ("hidden: [8, 8]", "hidden: [8.5]", "networks.mlp.hidden.0 is 8.5: input should be a valid integer"),
    "other device": ("version: 1", "device: gpu", "device is 'gpu': auto, cpu, cuda or a numbered device such as cuda:0"),
    "device is a number": ("version: 1", "device: 0", "device is 0: a text is meant"),
    "bytes for gibibytes": ("version: 1", "limits: {memory: 8}", "is 8: too few bytes for any task; a size such as 8GiB"),
    "threat without a radius": ("epsilons: [0.02]", "threats: [{norm: l2}]", ".epsilon: it is needed, and has no default"),
    "file without a class": ("use: fc", "use: net.py", "a class of a file is written as 'net.py:Name'"),
    "use is no name": ("use: fc", "use: 3", "networks.mlp.use must be a name, not 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_gets_one_clear_line(name: str, tmp_path: Path) -> None:
    old, new, message = BROKEN[name]
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(bb.ConfigError) as caught:
        make_plan(read_config(path))
    problems = caught.value.problems
    assert all(problem.startswith(f"{path}:") and "\n" not in problem for problem in problems), problems
    assert any(message in problem for problem in problems), problems
    assert len(problems) == 1, problems


def test_all_problems_are_told_at_once_in_order(tmp_path: Path) -> None:
    text = GOOD.replace("use: fc", "use: fcc").replace("epochs: 1", "epoch: 1").replace("steps: 3", "steps: -3")
    with pytest.raises(bb.ConfigError) as caught:
        read_config(written(tmp_path, text))
    lines = [
        int(problem.removeprefix(str(tmp_path / "benchmarks.yaml")).split(":")[1]) for problem in caught.value.problems
    ]
    assert lines == [9, 11, 15]


HUGE = "0x" + "f" * 6000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[0, 1]", f"[{HUGE}]"),
        ("[0, 1]", f"[-{'9' * 4000}]"),
        ("[0, 1]", f"[0o{'7' * 9000}]"),
        ("[0.1, 1e-3]", f"[{HUGE}]"),
        ("[0.1, 1e-3]", f"[{HUGE}, 0.1]"),
        ("epochs: 1", f"epochs: {HUGE}"),
        ("[2, 3]", f"[{HUGE}]"),
        ("use: fc", f"use: {HUGE}"),
        ("attacks:", f"exclude: [{{seed: {HUGE}}}]\nattacks:"),
        ("version: 1", f"version: 1\n{HUGE}: 1"),
        ("use: fc", f"use: fc, {HUGE}: 1"),
    ],
    ids=lambda text: text[:12],
)
def test_a_number_that_cannot_be_written_down_is_told_in_one_line(old: str, new: str, tmp_path: Path) -> None:
    with pytest.raises(bb.ConfigError) as caught:
        make_plan(read_config(written(tmp_path, GOOD.replace(old, new, 1))))
    (problem,) = caught.value.problems
    assert len(problem) < len(str(tmp_path)) + 200
    assert problem.removeprefix(str(tmp_path / "benchmarks.yaml")).split(":")[1].isdigit()
