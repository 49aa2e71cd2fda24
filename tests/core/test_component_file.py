"""Components from a user's own file: their class, their identity, and how they reach other processes."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from known import linear_predictive, random_ensemble, random_inputs
from own_files import CONFIG, MINE, components, made, written

import bnnbench as bb
from bnnbench.core.component_use import used
from bnnbench.core.module_file import ModuleFile
from bnnbench.matrix.config_reader import read_config


def test_every_section_takes_a_class_of_a_file_with_its_parameters(tmp_path: Path) -> None:
    found = components(written(tmp_path))
    assert found["points"].size == 6
    assert [found[f"net@width={width}"].width for width in (3, 4)] == [3, 4]
    assert [type(found[name]).__name__ for name in ("prior", "step", "first")] == ["Prior", "Step", "First"]
    assert (found["size"].offset, found["size"].kind) == (1, "measure")
    assert found["step"].objective.power == 2.0
    assert type(found["pgd"].objective) is type(found["step"].objective)
    assert type(found["first"].inner) is type(found["step"])
    assert found["points"].load(3).train[0].shape == (6, 2)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_attack_of_a_file_gives_the_inputs_of_the_registered_one(norm: Any, tmp_path: Path) -> None:
    written(tmp_path)
    ensemble, (x, y) = random_ensemble(), random_inputs()
    threat = bb.Threat(epsilon=0.1, norm=norm)
    expected = bb.attack("fgsm")(ensemble, x, y, threat)
    assert not torch.equal(expected, x)
    assert torch.equal(made(tmp_path, "Copied")(ensemble, x, y, threat), expected)


def test_an_objective_of_a_file_is_followed(tmp_path: Path) -> None:
    """The step of a linear classifier is known: along the sign of the difference of its weights."""
    written(tmp_path)
    weight = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    predictive = linear_predictive(weight.numpy(), torch.zeros(2).numpy())
    x, y = torch.full((1, 2), 0.5), torch.tensor([0])
    for side, sign in (("up", 1), ("down", -1)):
        attack = type(made(tmp_path, "Step")).model_validate({"length": 0.5, "side": side}, strict=False)
        expected = x + sign * 0.5 * 0.1 * (weight[1] - weight[0]).sign()
        assert torch.allclose(attack(predictive, x, y, bb.Threat(epsilon=0.1)), expected)


def test_an_identity_is_the_content_of_the_files_and_the_parameters(tmp_path: Path) -> None:
    written(tmp_path / "one")
    before = {name: made(tmp_path / "one", name).identity() for name in ("Step", "Loss", "Points")}
    assert before["Step"]["component"] == "file:Step"
    assert before["Step"]["parameters"]["objective"] == before["Loss"]
    assert before["Points"]["parameters"] == {"size": 8}
    assert str(tmp_path) not in str(before)
    assert made(tmp_path / "one", "Points", size=9).identity() != before["Points"]

    def after(folder: str) -> dict[str, Any]:
        return {name: made(tmp_path / folder, name).identity() for name in before}

    (tmp_path / "one" / "unused.py").write_text("1\n")
    shutil.move(tmp_path / "one", tmp_path / "two")
    assert after("two") == before
    written(tmp_path / "two", scale=2.0)
    edited = after("two")
    assert all(edited[name] != before[name] for name in before)
    # The revision of the class stays 1: the content counts all the same.
    written(tmp_path / "two", text=f"{MINE}# edited\n", scale=2.0)
    assert all(after("two")[name] != edited[name] for name in before)
    written(tmp_path / "two")
    assert after("two") == before


def test_an_installed_parent_is_part_of_the_identity(tmp_path: Path) -> None:
    text = "from bnnbench_plugins.attacks.pgd import ProjectedGradient\nclass Mine(ProjectedGradient):\n    pass\n"
    (tmp_path / "mine.py").write_text(text)
    parent = bb.attack("pgd")
    inherited = made(tmp_path, "Mine").identity()["inherited"]
    assert inherited == {"bnnbench_plugins.attacks.pgd:ProjectedGradient": type(parent).revision}


def test_classes_of_one_name_in_a_file_and_beside_it_differ(tmp_path: Path) -> None:
    (tmp_path / "beside_in_a_test.py").write_text("import bnnbench as bb\nclass Loss(bb.Objective):\n    pass\n")
    text = "import beside_in_a_test\nclass Other(bb.Attack):\n    objective: bb.ObjectiveParameter = "
    for default, name in (("beside_in_a_test.Loss()", "file:beside_in_a_test:Loss"), ("Loss()", "file:Loss")):
        written(tmp_path, text=f"{MINE}\n{text}{default}\n")
        assert made(tmp_path, "Other").identity()["parameters"]["objective"]["component"] == name


def test_two_versions_of_a_file_in_one_process_are_two_classes(tmp_path: Path) -> None:
    """Both texts have one length, and are written within one second: Python's own cache would mix them up."""
    sizes, found = (6, 7, 8), []
    for size in sizes:
        written(tmp_path, text=MINE.replace("size: int = 8", f"size: int = {size}"))
        found.append(made(tmp_path, "Points"))
    assert [one.size for one in found] == list(sizes)
    assert [one.load(0).train[0].shape[0] for one in found] == list(sizes)
    assert len({str(one.identity()) for one in found}) == 3


def test_files_of_one_name_in_two_folders_are_two_classes(tmp_path: Path) -> None:
    first, second = (components(written(tmp_path / name)) for name in ("one", "two"))
    assert first["step"].identity() == second["step"].identity()
    assert type(first["step"]) is not type(second["step"])
    for name, found in (("one", first), ("two", second)):
        again = type(pickle.loads(pickle.dumps(found["step"])))
        assert again is type(found["step"])
        assert sys.modules[again.__module__].__file__ == str(tmp_path / name / "mine.py")


def test_a_plain_module_stays_what_it_was_and_is_not_imported_before_it_is_built(tmp_path: Path) -> None:
    text = "import torch.nn as n\nclass Base(n.Linear): pass\nclass Net(Base): pass\nraise RuntimeError('imported')\n"
    (tmp_path / "net.py").write_text(text)
    path = written(tmp_path, CONFIG.replace("plain: {use: 'mine.py:Plain'}", "plain: {use: 'net.py:Net', bias: true}"))
    found = components(path)["plain"]
    assert type(found) is ModuleFile
    assert found.identity() == {
        "component": "bnnbench.core.module_file:ModuleFile",
        "version": 1,
        "parameters": {"name": "Net", "arguments": {"bias": True}},
        "fingerprint": hashlib.sha256(text.encode()).hexdigest(),
    }
    with pytest.raises(bb.PluginError, match=r"net\.py: RuntimeError: imported"):
        found.build(made(tmp_path, "Points").load(0))


def test_a_module_that_derives_from_one_beside_it_is_a_plain_module(tmp_path: Path) -> None:
    (tmp_path / "base_of_a_test.py").write_text("import torch\nclass Base(torch.nn.Linear): pass\n")
    (tmp_path / "net.py").write_text(
        "from base_of_a_test import Base\nclass Net(Base):\n    def __init__(self): super().__init__(2, 2)\n"
    )
    path = written(tmp_path, CONFIG.replace("mine.py:Plain", "net.py:Net"))
    found = components(path)["plain"]
    assert type(found) is ModuleFile
    assert found.build(made(tmp_path, "Points").load(0)).out_features == 2


def test_a_network_component_builds_its_module(tmp_path: Path) -> None:
    found = components(written(tmp_path))
    data = found["points"].load(0)
    built = found["net@width=4"].build(data)
    assert [layer.out_features for layer in built] == [4, 2]
    assert torch.equal(built[0].weight, found["net@width=4"].build(data)[0].weight)


def test_only_a_benchmarks_file_may_name_a_file_in_a_parameter(tmp_path: Path) -> None:
    """Files of draws hold parameters too, and are not trusted to run code."""
    marker = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    for use in (f"{tmp_path}/evil.py:Loss", {"use": f"{tmp_path}/evil.py:Loss"}):
        with pytest.raises(bb.ParameterError, match="only a benchmarks file may name a class of a file"):
            bb.attack("pgd", objective=use)
    with pytest.raises(bb.UnknownComponent):
        bb.attack(f"{tmp_path}/evil.py:Loss")
    assert not marker.exists()


NESTED = """
epsilons: [0.1]
datasets: {{half-moons: {{}}}}
networks: {{fc: {{}}}}
posteriors: {{sgd: {{}}}}
attacks: {{pgd: {{objective: {{use: '{use}'}}}}}}
"""


@pytest.mark.parametrize("use", ["deep/mine.py:Loss", "deep.mine:Loss"])
def test_a_parameter_takes_what_a_section_takes(use: str, tmp_path: Path) -> None:
    """A file that imports from the project's root, by its path or as a module."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mine.py").write_text("from parts_of_a_test import Base\nclass Loss(Base): pass\n")
    (tmp_path / "parts_of_a_test.py").write_text("import bnnbench as bb\nclass Base(bb.Objective): pass\n")
    (tmp_path / "b.yaml").write_text(NESTED.format(use=use))
    (variant,) = read_config(tmp_path / "b.yaml").variants["attack"]
    assert type(variant.component.objective).__name__ == "Loss"  # type: ignore[attr-defined]


def test_a_file_that_is_no_python_is_told(tmp_path: Path) -> None:
    (tmp_path / "nets.ipynb").write_text("{}")
    with pytest.raises(bb.PluginError, match=r"nets\.ipynb is no \.py file: put what 'nets\.ipynb:Net' names into one"):
        used("network", "nets.ipynb:Net", tmp_path, {})


def test_parameters_in_reports_name_no_folder(tmp_path: Path) -> None:
    found = components(written(tmp_path))
    dumped = found["first"].model_dump(mode="json")
    assert dumped["inner"]["use"] == "mine.py:Step"
    assert found["step"].model_dump(mode="json")["objective"] == {"use": "mine.py:Loss", "power": 2.0}
    assert str(tmp_path) not in str(dumped)
