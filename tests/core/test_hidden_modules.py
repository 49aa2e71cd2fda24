"""Modules that no text of a user's file shows: by computed names, and from folders that the file adds to the path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import bnnbench as bb
from bnnbench.core import dependencies
from bnnbench.core.component_file import component_in_file
from bnnbench.core.module_file import ModuleFile
from bnnbench.core.user_code.local_modules import check_unchanged, module_of, read_code
from bnnbench.errors import PluginError, StoreError

APPENDED = "import sys, os; sys.path.append(os.path.join(os.path.dirname(__file__), 'lib'))\n"


def written(folder: Path, **texts: str) -> Path:
    """The path of `mine.py` in a folder, with other files: `pack__x` is `pack/x.py`, `INIT` is `__init__`."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/').replace('INIT', '__init__')}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return folder / "mine.py"


def imported(folder: Path, **texts: str) -> Any:
    return module_of(read_code(written(folder, **texts)))


COMPUTED = {
    "import_module": "import importlib\nvalue = importlib.import_module('hel' + 'per').value\n",
    "its own name": "from importlib import import_module as load\nvalue = load('hel' + 'per').value\n",
    "a submodule of importlib": "import importlib.util\nvalue = importlib.import_module('hel' + 'per').value\n",
    "by dots": "import importlib\nvalue = importlib.import_module('.helper', 'pa' + 'ck').value\n",
    "__import__": "value = __import__('hel' + 'per').value\n",
    "late": "import importlib\ndef late(): return importlib.import_module('helper').value\nvalue = late()\n",
    "runs its neighbour": "import importlib\nvalue = importlib.import_module('pa' + 'ck').value\n",
    "sys.path": f"{APPENDED}from other import value\n",
    "sys.path, late": f"{APPENDED}def late():\n    from other import value\n    return value\n",
    "sys.path, a package": f"{APPENDED}import deep.inner as inner\nvalue = inner.value\n",
    "sys.path = ...": "import sys; sys.path = [*sys.path, __file__[:-7] + 'lib']\nfrom other import value\n",
}


@pytest.mark.parametrize("text", COMPUTED.values(), ids=COMPUTED)
def test_a_hidden_module_is_found_and_belongs_to_its_file_alone(text: str, tmp_path: Path) -> None:
    """Two folders hold modules of the same names; the path and the modules of the process stay as they are."""
    before, given = list(sys.path), sys.path
    for value in ("one", "two"):
        module = imported(
            tmp_path / value,
            mine=text,
            helper=f"value = '{value}'\n",
            pack__INIT="import helper\nvalue = helper.value\n",
            pack__helper=f"value = '{value}'\n",
            lib__other=f"value = '{value}'\n",
            lib__deep__INIT="",
            lib__deep__inner="from .near import value\n",
            lib__deep__near="from other import value\n",
        )
        assert (module.late() if hasattr(module, "late") else module.value) == value
    assert sys.path is given
    assert sys.path == before
    assert not {"helper", "pack", "other", "deep"} & set(sys.modules)


def test_an_appended_folder_comes_after_what_is_installed_and_one_in_front_before(tmp_path: Path) -> None:
    text = "import sys; sys.path.{}\nimport yaml\n"
    lib = str(tmp_path / "lib")
    last = imported(tmp_path / "last", mine=text.format(f"append({lib!r})"))
    written(tmp_path / "lib", yaml="value = 1\n")
    first = imported(tmp_path / "first", mine=text.format(f"insert(0, {lib!r})"))
    assert first.yaml.value == 1
    assert not hasattr(last.yaml, "value")


def test_what_is_installed_is_computed_as_anywhere(tmp_path: Path) -> None:
    module = imported(tmp_path, mine="import importlib\nfound = importlib.import_module('js' + 'on')\n", json="1 / 0\n")
    assert module.found is sys.modules["json"]
    with pytest.raises(PluginError, match=r"mine\.py: ModuleNotFoundError: No module named 'nowhere_at_all'"):
        imported(tmp_path, mine="import importlib\nimportlib.import_module('nowhere_at_all')\n")


NET = f"""{APPENDED}
import torch
import bnnbench as bb
from other import WIDTH
class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
        self.width = WIDTH
class Component(bb.Network):
    def build(self, data):
        return Net()
"""


def data() -> bb.Data:
    x = torch.rand(4, 2)
    return bb.Data(train=(x, torch.arange(4) % 2), test=(x, torch.arange(4) % 2))


def test_a_network_reads_its_hidden_modules_anew_and_keeps_its_identity(tmp_path: Path) -> None:
    path = written(tmp_path, mine=NET, lib__other="WIDTH = 1\n")
    network = ModuleFile(path=str(path), name="Net")
    before = network.identity()
    record: dict[str, dependencies.Files] = {}
    with dependencies.noted(network, record):
        assert network.build(data()).width == 1
    assert list(record["network_files"]) == ["lib/other.py"]
    again = ModuleFile(path=str(path), name="Net")
    assert again.identity() == before
    written(tmp_path, lib__other="WIDTH = 2\n")
    change = dependencies.changed(record, network)
    assert change is not None
    assert change.file == str(tmp_path / "lib" / "other.py")
    assert again.build(data()).width == 2


def test_a_folder_that_a_network_adds_when_it_is_built_is_its_own_too(tmp_path: Path) -> None:
    late = f"        {APPENDED}        from other import WIDTH\n"
    text = NET.replace(APPENDED, "import sys\nsys.path.insert(0, __file__[:-7] + 'first')\n")
    text = text.replace("from other import WIDTH\n", "").replace("        self.width", f"{late}        self.width")
    before, found = list(sys.path), []
    for number in (1, 2):
        folder = tmp_path / str(number)
        path = written(folder, mine=f"{text}# {number}\n", lib__other="from first_of_all import WIDTH\n")
        written(folder, first__first_of_all=f"WIDTH = {number}\n")
        network = ModuleFile(path=str(path), name="Net")
        identity = network.identity()
        found.append(network.build(data()).width)
        assert ModuleFile(path=str(path), name="Net").identity() == identity
    assert found == [1, 2]
    assert sys.path == before


def test_the_identity_of_a_component_counts_its_hidden_modules(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        path = written(tmp_path / name, mine=NET, lib__other="WIDTH = 1\n")
        cls = component_in_file("network", path, "Component")
        found.append(cls().identity())
    assert found[0] == found[1]
    check_unchanged(cls)
    written(tmp_path / "two", lib__other="WIDTH = 2\n")
    with pytest.raises(StoreError, match="has been edited since"):
        check_unchanged(cls)
    with pytest.raises(PluginError, match=r"other\.py has been edited since this process imported it"):
        component_in_file("network", path, "Component")
    path = written(tmp_path / "three", mine=NET, lib__other="WIDTH = 2\n")
    assert component_in_file("network", path, "Component")().identity() != found[0]


ENDINGS = {
    "raise SystemExit(2)": "SystemExit: 2: a file must not end the program while it is imported",
    "class Panic(BaseException): pass\nraise Panic('at once')": r"Panic: at once \(/\S*helper\.py:2\)$",
    "raise KeyboardInterrupt": r"KeyboardInterrupt \(/\S*helper\.py:1\)$",
    "def f(:": r"SyntaxError: invalid syntax \(helper\.py, line 1\)$",
    "\n\n1 / 0": r"ZeroDivisionError: division by zero \(/\S*helper\.py:3\)$",
}


@pytest.mark.parametrize(("text", "told"), ENDINGS.items(), ids=ENDINGS.values())
def test_whatever_a_file_raises_is_told_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=rf"^/\S*mine\.py: {told}"):
        imported(tmp_path, mine="import helper\n", helper=text)


def test_the_package_that_a_module_names_is_imported_as_one(tmp_path: Path) -> None:
    text = "import importlib\ndef __getattr__(name): return getattr(importlib.import_module('.net', __name__), name)\n"
    written(tmp_path, pack__INIT=text, pack__net="value = 3\n")
    assert module_of(read_code(tmp_path / "pack" / "__init__.py")).value == 3
