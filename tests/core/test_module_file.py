"""A network from a file of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import bnnbench as bb
from bnnbench.core.module_file import ModuleFile


def data(*shape: int, classes: int = 10) -> bb.Data:
    pair = (np.zeros((2, *shape), "f4"), np.array([0, classes - 1]))
    return bb.Data(train=pair, test=pair)


OWN = """
import torch

class Net(torch.nn.Sequential):
    def __init__(self, width=4, shape=(2,), classes=2):
        super().__init__(torch.nn.Linear(shape[0], width), torch.nn.Linear(width, classes))

class Other:
    pass
"""


def test_a_module_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(OWN)
    built = ModuleFile(path=str(path), name="Net", arguments={"width": 6}).build(data(3, classes=4))
    assert [tuple(layer.weight.shape) for layer in built] == [(6, 3), (4, 6)]
    moved = tmp_path / "elsewhere.py"
    moved.write_text(OWN)
    key = ModuleFile(path=str(path), name="Net").identity()
    assert ModuleFile(path=str(moved), name="Net").identity() == key
    moved.write_text(OWN + "# changed\n")
    assert ModuleFile(path=str(moved), name="Net").identity() != key


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("Nett", {}, "did you mean 'Net'"),
        ("Other", {}, "not a torch.nn.Module"),
        ("Net", {"depth": 3}, "has no argument 'depth'"),
    ],
)
def test_a_wrong_class_is_named(name: str, arguments: dict[str, object], reason: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(OWN)
    with pytest.raises((ValueError, bb.PluginError), match=reason):
        ModuleFile(path=str(tmp_path / "net.py"), name=name, arguments=arguments).build(data(3))


NET = """\
import torch

class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
"""


def zeros() -> bb.Data:
    x, y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    return bb.Data(train=(x, y), test=(x, y))


def test_a_module_that_exits_is_a_plugin_that_is_broken(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET + "raise SystemExit('no licence')\n")
    network = ModuleFile(path=str(tmp_path / "net.py"), name="Net")
    with pytest.raises(bb.PluginError, match=r"net\.py: SystemExit: no licence"):
        network.build(zeros())
