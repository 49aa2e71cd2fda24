"""Files that a file of the user imports from its own folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import bnnbench as bb
from bnnbench.core.module_file import ModuleFile
from bnnbench.core.user_code.local_imports import LocalCode

NET = """
from torch import nn
from layers_of_a_test import WIDTH

class Net(nn.Linear):
    def __init__(self):
        from late_in_a_test import CLASSES
        super().__init__(WIDTH, CLASSES)
"""


def written(folder: Path, width: int) -> ModuleFile:
    folder.mkdir(exist_ok=True)
    (folder / "net.py").write_text(NET)
    (folder / "layers_of_a_test.py").write_text(f"WIDTH = {width}\n")
    (folder / "late_in_a_test.py").write_text("CLASSES = 2\n")
    return ModuleFile(path=str(folder / "net.py"), name="Net")


def data() -> bb.Data:
    x, y = torch.rand(4, 3), torch.tensor([0, 1, 0, 1])
    return bb.Data(train=(x, y), test=(x, y), bounds=(0, 1))


def test_each_file_gets_its_own_neighbours(tmp_path: Path) -> None:
    path, modules = list(sys.path), set(sys.modules)
    one, other = written(tmp_path / "one", 3), written(tmp_path / "other", 5)
    assert [file.build(data()).in_features for file in (one, other, one)] == [3, 5, 3]
    assert sys.path == path
    assert {name for name in set(sys.modules) - modules if name.endswith("_a_test") and "." not in name} == set()


def test_an_edited_neighbour_makes_another_network(tmp_path: Path) -> None:
    first = written(tmp_path, 3).identity()
    assert written(tmp_path, 3).identity() == first
    assert written(tmp_path / "elsewhere", 3).identity() == first
    (tmp_path / "unused.py").write_text("1\n")
    assert written(tmp_path, 3).identity() == first
    edited = written(tmp_path, 33)
    assert edited.identity() != first
    assert edited.build(data()).in_features == 33


def test_a_module_that_is_there_already_is_not_taken_for_the_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = type(sys)("layers_of_a_test")
    other.__file__, other.WIDTH = str(tmp_path / "layers_of_a_test.py"), 9
    monkeypatch.setitem(sys.modules, "layers_of_a_test", other)
    assert written(tmp_path / "own", 3).build(data()).in_features == 3
    assert sys.modules["layers_of_a_test"] is other


def test_neighbours_are_found_through_one_another_however_they_are_imported(tmp_path: Path) -> None:
    texts = {
        "net.py": "import torch, os.path, data, pack.inner\nfrom plain import m\ndef f():\n from helper import *\n",
        "pack/__init__.py": "",
        "pack/inner.py": "from . import near\nfrom .sub.deep import x\nfrom .. import outside\n",
        "pack/near.py": "from .. import beyond",
        "pack/sub/deep.py": "import second\n",
        "plain/m.py": "import broken\n",
        "helper.py": "import net\n",
        "second.py": "",
        "broken.py": "(",
        "unused.py": "",
        "torch/unused.py": "",
        "data/points.csv": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {file.relative_to(tmp_path).as_posix() for file in LocalCode.read(tmp_path / "net.py").imported}
    assert found == {
        *("pack/__init__.py", "pack/inner.py", "pack/near.py", "pack/sub/deep.py"),
        *("plain/m.py", "helper.py", "second.py", "broken.py"),
    }


@pytest.mark.parametrize("text", ["-" * 100_000 + "1", "+".join("1" * 100_000)])
def test_a_file_that_is_nested_too_deep_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(f"class Net: pass\nx = {text}\n")
    with pytest.raises(ValueError, match=r"nested too deep|is not Python"):
        ModuleFile(path=str(tmp_path / "net.py"), name="Net")
