"""Files that a file of the user imports from its package, and from the project around it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bnnbench.core.user_code.local_imports import LocalCode, module_in_project
from bnnbench.core.user_code.local_modules import module_of, read_code
from bnnbench.errors import PluginError

BLOCKS = "value = 'blocks'\n"
LAYOUTS = {
    "by dots, in a package": (
        "models/net.py",
        {"models/net.py": "from .blocks import value\n", "models/__init__.py": "", "models/blocks.py": BLOCKS},
    ),
    "by the package's name": (
        "models/net.py",
        {"models/net.py": "from models.blocks import value\n", "models/__init__.py": "", "models/blocks.py": BLOCKS},
    ),
    "the package imports its modules": (
        "models/net.py",
        {
            "models/net.py": "from models.blocks import value\n",
            "models/__init__.py": "from .net import value\n",
            "models/blocks.py": BLOCKS,
        },
    ),
    "a package without __init__.py, by dots": (
        "models/net.py",
        {"models/net.py": "from . import blocks\nvalue = blocks.value\n", "models/blocks.py": BLOCKS},
    ),
    "a package without __init__.py, by its name": (
        "models/net.py",
        {"models/net.py": "import models.blocks\nvalue = models.blocks.value\n", "models/blocks.py": BLOCKS},
    ),
    "two dots, without __init__.py": (
        "models/nets/net.py",
        {"models/nets/net.py": "from ..blocks import value\n", "models/blocks.py": BLOCKS},
    ),
    "two dots, in packages": (
        "models/nets/net.py",
        {
            "models/nets/net.py": "from ..blocks import value\n",
            "models/nets/__init__.py": "",
            "models/__init__.py": "",
            "models/blocks.py": BLOCKS,
        },
    ),
    "three dots, above the packages": (
        "work/models/nets/net.py",
        {
            "work/models/nets/net.py": "from ...blocks import value\n",
            "work/models/nets/__init__.py": "",
            "work/models/__init__.py": "",
            "work/blocks.py": BLOCKS,
        },
    ),
    "from the folder of the benchmarks file": (
        "models/net.py",
        {"models/net.py": "from tools.blocks import value\n", "tools/blocks.py": BLOCKS},
    ),
    "beside, in a package": (
        "models/net.py",
        {"models/net.py": "from blocks import value\n", "models/__init__.py": "", "models/blocks.py": BLOCKS},
    ),
    "beside and by dots, in a package": (
        "models/net.py",
        {
            "models/net.py": "from .near import a\nfrom blocks import value\n",
            "models/near.py": "a = 1\n",
            "models/__init__.py": "",
            "models/blocks.py": BLOCKS,
        },
    ),
    "the package itself": (
        "models/__init__.py",
        {"models/__init__.py": "from .blocks import value\n", "models/blocks.py": BLOCKS},
    ),
    "a module named as one of Python, in the package": (
        "models/net.py",
        {
            "models/net.py": "import random\nfrom .blocks import value\nassert random.random() < 1\n",
            "models/__init__.py": "",
            "models/random.py": "raise RuntimeError('the wrong one')\n",
            "models/blocks.py": "import random\nvalue = 'blocks' if random.random() < 1 else ''\n",
        },
    ),
    "src, beside the file": (
        "net.py",
        {"net.py": "from mine.blocks import value\n", "src/mine/__init__.py": "", "src/mine/blocks.py": BLOCKS},
    ),
    "in src": (
        "src/mine/net.py",
        {
            "src/mine/net.py": "from mine.blocks import value\n",
            "src/mine/__init__.py": "",
            "src/mine/blocks.py": BLOCKS,
        },
    ),
    "late, in a function": (
        "models/net.py",
        {
            "models/net.py": "def late():\n    from .blocks import value\n    return value\nvalue = late()\n",
            "models/__init__.py": "",
            "models/blocks.py": BLOCKS,
        },
    ),
}


def laid_out(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(("start", "files"), LAYOUTS.values(), ids=LAYOUTS)
def test_what_a_project_imports_is_found_and_counts(start: str, files: dict[str, str], tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    laid_out(one, files)
    path, before = list(sys.path), set(sys.modules)
    code = read_code(one / start, one)
    assert module_of(code).value == "blocks"
    assert module_of(read_code(one / start, one), fresh=True).value == "blocks"
    assert sys.path == path
    assert {name for name in set(sys.modules) - before if not name.startswith("bnnbench_file_")} <= {"random"}
    laid_out(other, files)
    assert read_code(other / start, other).checksum == code.checksum
    (blocks,) = (other / name for name in files if name.endswith("blocks.py"))
    blocks.write_text(f"{blocks.read_text()}# edited\n")
    assert read_code(other / start, other).checksum != code.checksum


@pytest.mark.parametrize("mark", ["pyproject.toml", ".git"])
def test_the_project_ends_at_its_mark(mark: str, tmp_path: Path) -> None:
    laid_out(tmp_path, {"work/nets/net.py": "from common import value\n", "work/common.py": BLOCKS, "outside.py": ""})
    benchmarks = tmp_path / "work" / "runs" / "small"
    benchmarks.mkdir(parents=True)
    with pytest.raises(PluginError, match="No module named 'common'"):
        module_of(read_code(tmp_path / "work/nets/net.py", benchmarks))
    (tmp_path / "work" / mark).mkdir()
    assert module_of(read_code(tmp_path / "work/nets/net.py", benchmarks)).value == "blocks"
    assert module_in_project("common", benchmarks) == tmp_path / "work" / "common.py"
    assert module_in_project("nets.net", benchmarks) == tmp_path / "work/nets/net.py"
    assert module_in_project("outside", benchmarks) is None


def test_an_installed_package_is_taken_before_a_folder_without_init(tmp_path: Path) -> None:
    laid_out(
        tmp_path, {"net.py": "import numpy.linalg\nvalue = numpy.__version__\n", "numpy/linalg.py": "raise OSError\n"}
    )
    code = read_code(tmp_path / "net.py", tmp_path)
    assert code.imported == []
    assert module_of(code).value


def test_code_on_pythons_path_counts_and_is_imported_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a package is that was installed for editing."""
    texts = {"editable_of_a_test/__init__.py": "", "editable_of_a_test/deep.py": "from .deeper import value\n"}
    laid_out(tmp_path / "lib", texts | {"editable_of_a_test/deeper.py": "value = 1\n", "unused_of_a_test.py": ""})
    laid_out(tmp_path / "own", {"net.py": "from editable_of_a_test.deep import value\n"})
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    read = read_code(tmp_path / "own" / "net.py")
    assert [file.name for file in read.imported] == ["__init__.py", "deep.py", "deeper.py"]
    module = module_of(read)
    assert module.value == 1
    assert sys.modules["editable_of_a_test.deep"].value == 1
    (tmp_path / "lib" / "editable_of_a_test" / "deeper.py").write_text("value = 2\n")
    edited = LocalCode.read(tmp_path / "own" / "net.py")
    assert edited.checksum != read.checksum
    with pytest.raises(PluginError, match=r"deeper\.py has been edited since this process imported it"):
        module_of(edited)


def test_bnnbench_itself_is_not_followed(tmp_path: Path) -> None:
    laid_out(tmp_path, {"net.py": "import bnnbench\nimport bnnbench_plugins.networks.fully_connected\n"})
    assert read_code(tmp_path / "net.py").imported == []
