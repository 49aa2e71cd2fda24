"""The modules of a user's own file: the content that was read, with the neighbours of its own folder."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from bnnbench.core.user_code.local_imports import LocalCode
from bnnbench.core.user_code.local_modules import code_behind, module_of, name_in_messages, read_code
from bnnbench.errors import PluginError


def code(folder: Path, **texts: str) -> LocalCode:
    """The code of `mine.py` in a folder, with other files beside it; `pack__x` is the module `pack.x`."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return read_code(folder / "mine.py")


def test_a_file_is_imported_once_for_each_content(tmp_path: Path) -> None:
    first = module_of(code(tmp_path, mine="value = []\n"))
    assert module_of(code(tmp_path, mine="value = []\n")) is first
    assert module_of(code(tmp_path, mine="value = ()\n")).value == ()
    assert first.value == []
    assert module_of(code(tmp_path, mine="value = []\n")) is first
    assert module_of(code(tmp_path, mine="value = []\n"), fresh=True) is not first


def test_an_edit_of_equal_length_within_a_second_is_seen(tmp_path: Path) -> None:
    found = []
    for number in range(5):
        texts = {"mine": f"from helper import value\nown = {number}\n", "helper": f"value = {number}\n"}
        module = module_of(code(tmp_path, **texts))
        found.append((module.own, module.value))
    assert found == [(number, number) for number in range(5)]
    assert not list(tmp_path.glob("**/__pycache__"))


def test_what_runs_is_what_was_read(tmp_path: Path) -> None:
    """An edit between reading and importing changes nothing, nor does one before a late import."""
    read = code(
        tmp_path, mine="def late():\n    import helper\n    return helper.value\nown = 1\n", helper="value = 1\n"
    )
    (tmp_path / "mine.py").write_text("own = 2\n")
    (tmp_path / "helper.py").write_text("value = 2\n")
    module = module_of(read)
    assert (module.own, module.late()) == (1, 1)


def test_every_form_of_import_finds_the_neighbours(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    module = module_of(
        code(
            tmp_path,
            mine=(
                "import helper, pack.inner\nimport pack.inner as renamed\nfrom pack import near, inner as also\n"
                "from helper import *\nimport json\nimport space.m\n"
                "def late():\n    from pack.deep import value\n    return value\n"
            ),
            helper="__all__ = ['value']\nvalue = 1\nimport late_one\n",
            late_one="import pack.near as near\n",
            pack__inner="from . import near\nfrom .near import value\nimport pack.near as same\n",
            pack__near="value = 2\n",
            pack__deep="from helper import value\n",
            space__m="value = 3\n",
        )
    )
    assert module.renamed is module.pack.inner is module.also
    assert module.near is module.renamed.near is module.renamed.same is module.helper.late_one.near
    assert (module.value, module.renamed.value, module.late(), module.space.m.value) == (1, 2, 1, 3)
    assert module.json is sys.modules["json"]


def test_files_that_import_one_another_are_imported_once(tmp_path: Path) -> None:
    texts = {"mine": "seen = []\nimport helper\n", "helper": "import mine\nmine.seen.append(1)\n"}
    module = module_of(code(tmp_path, **texts))
    assert module.seen == [1]
    assert module.helper.mine is module


def test_a_neighbour_is_taken_before_an_installed_module_and_only_here(tmp_path: Path) -> None:
    import json

    module = module_of(code(tmp_path, mine="import json\nimport colorsys\n", json="value = 1\n"))
    assert module.json.value == 1
    assert sys.modules["json"] is json
    assert module.colorsys is sys.modules["colorsys"]


def test_a_file_named_like_what_it_imports_imports_the_installed_one(tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("import colorsys\nvalue = colorsys.rgb_to_hsv(1.0, 1.0, 1.0)\n")
    assert module_of(read_code(tmp_path / "colorsys.py")).value == (0.0, 0.0, 1.0)


def test_two_folders_share_nothing_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path, before = list(sys.path), set(sys.modules)
    texts = {"mine": "import helper_of_a_test as helper\n"}
    found = [
        module_of(code(tmp_path / name, **texts, helper_of_a_test=f"value = {name!r}\n")).helper.value
        for name in ("one", "other")
    ]
    assert found == ["one", "other"]
    assert sys.path == path
    assert all(name.startswith("bnnbench_file_") for name in set(sys.modules) - before)


def test_a_link_to_a_file_of_another_folder_is_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "real.py").write_text("value = 4\n")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "helper.py").symlink_to(tmp_path / "lib" / "real.py")
    read = code(tmp_path / "own", mine="from helper import value\n")
    assert [file.name for file in read.imported] == ["helper.py"]
    assert module_of(read).value == 4
    before = read.checksum
    (tmp_path / "lib" / "real.py").write_text("value = 5\n")
    assert read_code(tmp_path / "own" / "mine.py").checksum != before


def test_a_failed_import_leaves_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    marker = tmp_path / "ready"
    text = f"import helper\nimport os\nif not os.path.exists({str(marker)!r}): raise OSError('not\\nyet')\n"
    read = code(tmp_path, mine=text, helper="")
    before = set(sys.modules)
    with pytest.raises(PluginError, match=r"^/[^\n]*mine\.py: OSError: not yet \(/\S*mine\.py:3\)$"):
        module_of(read)
    assert set(sys.modules) == before
    marker.touch()
    assert module_of(read).helper


def test_a_missing_neighbour_is_named_as_it_was_written(tmp_path: Path) -> None:
    read = code(tmp_path, mine="import pack.there\nimport pack.gone\n", pack__there="")
    told = r"mine\.py: ModuleNotFoundError: No module named 'pack\.gone' \(/\S*mine\.py:2\)$"
    with pytest.raises(PluginError, match=told):
        module_of(read)


def test_what_a_file_prints_does_not_reach_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module_of(code(tmp_path, mine="print('a table')\n"))
    assert capsys.readouterr() == ("", "a table\n")


def test_threads_that_import_one_file_get_one_module(tmp_path: Path) -> None:
    read = code(tmp_path, mine="import time\ntime.sleep(0.05)\nvalue = object()\n")
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(module_of(read).value)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(map(id, found))) == 1


def test_a_class_knows_the_file_that_it_is_from(tmp_path: Path) -> None:
    read = code(tmp_path, mine="import helper\nclass A:\n    class B: pass\n", helper="class C: pass\n")
    module = module_of(read)
    path = tmp_path / "mine.py"
    assert code_behind(module.A) is read
    assert code_behind(PluginError) is None
    assert name_in_messages(module.A.B) == f"{path}:A.B"
    assert name_in_messages(module.helper.C) == f"{path}:helper:C"
    assert name_in_messages(PluginError) == "bnnbench.errors.PluginError"
