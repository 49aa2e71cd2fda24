"""Networks that are a function, or anything else that gives a module, in a file or in an importable module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from own_networks import MORE, NETS, PARTS

import bnnbench as bb
from bnnbench.core.component_use import used
from bnnbench.core.imported_network import ImportedNetwork
from bnnbench.core.module_file import ModuleFile

GIVEN: dict[str, dict[str, Any]] = {
    "make": {"width": 4},
    "decorated": {},
    "named": {"width": 3},
    "bound": {},
    "renamed": {"width": 1},
    "also": {"width": 1},
    "first": {"width": 1},
    "module": {},
    "Conditional": {},
    "Fallback": {},
    "Managed": {"width": 2},
    "Assigned": {},
    "Outer.Net": {},
    "Outer.small": {"width": 2},
    "PassedOn": {},
    "factory": {"width": 2},
    "component": {},
    "gives_a_component": {"width": 2},
    "keywords": {"width": 2},
    "positional": {"width": 2},
    "cached": {},
    "Late": {},
    "Dynamic": {},
    "Imported": {},
    "star": {"width": 1},
}


def data() -> bb.Data:
    x, y = torch.rand(4, 2), torch.tensor([0, 1, 0, 1])
    return bb.Data(train=(x, y), test=(x, y))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("nets", NETS), ("parts_of_a_test", PARTS), ("more_of_a_test", MORE)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def network(folder: Path, use: str, **parameters: Any) -> bb.Network:
    """The network of an entry of a benchmarks file in a folder."""
    model, given = used("network", use, folder, parameters)
    made: bb.Network = model.model_validate(given)
    return made


@pytest.mark.parametrize(("name", "given"), GIVEN.items(), ids=list(GIVEN))
def test_whatever_gives_a_module_is_a_network(name: str, given: dict[str, Any], folder: Path) -> None:
    """The shape and the number of classes are filled in where they are named, and not bound already."""
    found = network(folder, f"nets.py:{name}", **given)
    assert type(found) is ModuleFile
    built = found.build(data())
    assert built(torch.rand(3, 2)).shape == (3, 2)
    weights = list(built.parameters())
    assert all(torch.equal(one, other) for one, other in zip(weights, found.build(data()).parameters(), strict=True))


def test_a_component_in_the_file_or_imported_into_it_is_itself(folder: Path) -> None:
    found = network(folder, "nets.py:Network", width=3)
    assert (type(found).__name__, found.width) == ("Network", 3)  # type: ignore[attr-defined]
    assert found.build(data())(torch.rand(3, 2)).shape == (3, 2)


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("make", {}, r"nets\.py:make \(line 11\) needs the argument 'width'$"),
        ("make", {"widht": 1}, r"make \(line 11\) has no argument 'widht'; did you mean 'width'\?$"),
        ("Imported", {"width": 1}, r"nets\.py:Imported \(line 6\) has no argument 'width' \(it takes none\)$"),
        ("module", {"width": 1}, r"nets\.py:module is a Linear, which takes no arguments \(width\)$"),
        ("pair", {}, r"nets\.py:pair gave a tuple of 2, not a torch\.nn\.Module$"),
        ("make_class", {"width": 2}, r"nets\.py:make_class gave the class Net, not a torch\.nn\.Module$"),
        ("number", {}, r"nets\.py:number is 3, not a torch\.nn\.Module or a function that gives one$"),
        ("Outer.Nett", {}, r"nets\.py defines no class or function 'Outer\.Nett'"),
        ("mak", {}, r"nets\.py defines no class or function 'mak'; did you mean 'make'\?$"),
    ],
)
def test_what_gives_none_is_refused_on_one_line(name: str, given: dict[str, Any], reason: str, folder: Path) -> None:
    place = {"path": str(folder / "nets.py"), "name": name, "project": str(folder)}
    with pytest.raises(bb.PluginError, match=reason) as caught:
        ModuleFile.model_validate(ModuleFile.parameters_from(place, given)).build(data())
    assert "\n" not in str(caught.value)


def test_an_error_of_the_users_code_is_passed_on(folder: Path) -> None:
    with pytest.raises(OSError, match="no such weights"):
        network(folder, "nets.py:failing").build(data())


def test_arguments_and_files_are_the_identity_and_folders_are_not(folder: Path, tmp_path: Path) -> None:
    one = network(folder, "nets.py:make", width=3).identity()
    assert network(folder, "nets:make", width=3).identity() == one
    assert network(folder, "nets.py:make", width=4).identity() != one
    assert str(tmp_path) not in str(one)
    (folder / "more_of_a_test.py").write_text(f"{MORE}# edited\n")
    assert network(folder, "nets.py:make", width=3).identity() != one


def test_declared_outputs_are_no_argument_and_part_of_the_identity(folder: Path) -> None:
    plain, declared = (network(folder, "nets.py:module", **given) for given in ({}, {"outputs": "probabilities"}))
    assert declared.identity() != plain.identity()
    assert declared.build(data()).bnnbench_reading.outputs == "probabilities"
    with pytest.raises(bb.PluginError, match="takes no arguments"):
        network(folder, "nets.py:module", outputs=10).build(data())


def test_a_network_of_an_installed_module(folder: Path) -> None:
    import torchvision

    image = torch.rand(2, 3, 32, 32)
    images = bb.Data(train=(image, torch.tensor([0, 1])), test=(image, torch.tensor([0, 1])))
    found = network(folder, "torchvision.models:resnet18", num_classes=2)
    assert type(found) is ImportedNetwork
    assert found.build(images).eval()(image).shape == (2, 2)
    assert found.identity()["fingerprint"] == f"version {torchvision.__version__.partition('+')[0]}"
    assert network(folder, "torch.nn:Identity").build(images)(image) is image


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        ("torchvison.models:resnet18", "no module 'torchvison' is in the project or installed"),
        ("bnnbench:fcc", "did you mean 'fc'"),
        ("os:system", "no network named 'os:system'"),
        ("torchvision.models:resnet1", "has no attribute 'resnet1'"),
        ("torchvision.modls:resnet18", "No module named 'torchvision.modls'"),
    ],
)
def test_a_module_or_name_that_is_not_there_is_named(use: str, reason: str, folder: Path) -> None:
    with pytest.raises((bb.PluginError, bb.UnknownComponent), match=reason) as caught:
        network(folder, use).build(data())
    assert "\n" not in str(caught.value)


def test_an_importable_module_that_may_be_edited_counts_by_its_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = folder / "lib" / "editable_networks_of_a_test"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("from .parts import Net\n")
    (package / "parts.py").write_text("from torch import nn\ndef Net(width): return nn.Linear(2, width)\n")
    monkeypatch.syspath_prepend(str(folder / "lib"))
    monkeypatch.setattr("sys.modules", dict(__import__("sys").modules))
    found = network(folder, "editable_networks_of_a_test.nets:Net", width=2)
    before = found.identity()
    assert found.build(data()).out_features == 2
    (package / "parts.py").write_text("from torch import nn\ndef Net(width): return nn.Linear(2, width + 1)\n")
    edited = network(folder, "editable_networks_of_a_test.nets:Net", width=2)
    assert edited.identity() != before
    with pytest.raises(bb.PluginError, match=r"parts\.py has been edited since this process imported it"):
        edited.build(data())
