"""The code of a class counts with the files that it imports, unless it is installed."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bnnbench as bb
from bnnbench.core.component_use import used
from bnnbench.core.user_code.class_code import code_of
from bnnbench.core.user_code.local_imports import LocalCode

FILES = {
    "package_of_a_test/__init__.py": "",
    "package_of_a_test/attacks.py": "import bnnbench as bb\nfrom {imports}\n\n\nclass Noise(bb.Attack):\n    pass\n",
    "package_of_a_test/helpers.py": "share = 1\n",
    "neighbour_of_a_test.py": "share = 1\n",
}
FORMS = {
    "package_of_a_test.helpers import share": "package_of_a_test/helpers.py",
    ".helpers import share": "package_of_a_test/helpers.py",
    ".helpers import share\nfrom neighbour_of_a_test import share": "neighbour_of_a_test.py",
}
Place = Callable[[str, str], type]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Put the package with an import, into a folder that is then on the path; gives the class."""

    def put(folder: str, imports: str) -> type:
        for name, text in FILES.items():
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("{imports}", imports))
        monkeypatch.syspath_prepend(str(tmp_path / folder))
        monkeypatch.setattr("sys.modules", dict(sys.modules))
        importlib.invalidate_caches()
        model, _ = used("attack", "package_of_a_test.attacks:Noise", tmp_path / "elsewhere", {})
        return model

    return put


@pytest.mark.parametrize("imports", FORMS)
def test_an_edited_file_that_the_class_imports_changes_its_identity(imports: str, place: Place, tmp_path: Path) -> None:
    noise = place("lib", imports)
    before = noise().identity()
    assert noise().identity() == before
    (tmp_path / "lib" / FORMS[imports]).write_text("share = 2\n")
    after = noise().identity()
    assert {name for name in before if before[name] != after[name]} == {"code"}


def test_a_task_in_a_process_with_the_old_code_fails(place: Place, tmp_path: Path) -> None:
    """A process of a cluster outlives runs: its outcome would be kept under the key of the new code."""
    noise = place("lib", ".helpers import share")
    noise().rebuilt()
    noise().rebuilt()
    (tmp_path / "lib/package_of_a_test/helpers.py").write_text("share = 2\n")
    with pytest.raises(
        bb.PluginError, match=r"helpers\.py has been edited since this process imported it: start a new"
    ):
        noise().rebuilt()


def test_of_an_installed_class_its_file_alone_counts(place: Place, tmp_path: Path) -> None:
    """The version of the distribution speaks for the others."""
    noise = place("lib/site-packages", ".helpers import share")
    file = tmp_path / "lib/site-packages/package_of_a_test/attacks.py"
    (file.parent / "helpers.py").write_text("share = 2\n")
    assert code_of(noise) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_file_that_imports_nothing_of_its_project_counts_alone() -> None:
    """Stores hold its checksum."""

    class Noise(bb.Attack):
        """A class of this file."""

    assert code_of(Noise) == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def test_bnnbench_is_no_part_of_a_project() -> None:
    """Its revisions speak for it: a file in its own checkout that imports it does not change with each of its files."""
    folder = Path(bb.__file__).parent
    found = LocalCode.read(Path(__file__)).imported
    assert not [file for file in found if file.is_relative_to(folder)]
