"""No module of a package has the name of a public function or class of that package.

Importing the module would replace the function: `bnnbench/attack.py` would replace `bnnbench.attack`.
"""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import bnnbench
import bnnbench.authoring


@pytest.mark.parametrize("package", [bnnbench, bnnbench.authoring])
def test_no_module_replaces_a_public_name(package: ModuleType) -> None:
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert modules
    assert not modules & set(package.__all__)


def test_every_public_name_stands_in_the_page_about_python() -> None:
    page = (Path(__file__).parent.parent / "docs" / "embedding.md").read_text()
    told = set(re.findall(r"\w+", page))
    assert sorted(set(bnnbench.__all__) - told) == []


@pytest.mark.parametrize("package", [bnnbench, bnnbench.authoring])
def test_every_public_name_can_be_imported(package: ModuleType) -> None:
    assert all(getattr(package, name) is not None for name in package.__all__)
    assert set(package.__all__) <= set(dir(package))
