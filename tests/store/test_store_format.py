"""Directories that are no store of this format are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bnnbench.errors import StoreError
from bnnbench.store.store import Store

KEY = "ab" * 32


def test_a_kind_that_is_a_link_refuses_the_store(store: Store, tmp_path: Path) -> None:
    shutil.move(store.path / "cells", tmp_path / "elsewhere")
    (store.path / "cells").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link"):
        Store(store.path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"format": 99}', "upgrade bnnbench"),
        ("[]", "does not say"),
        ('{"format": true}', "knows 1"),
        ("\x00", "does not"),
    ],
)
def test_what_is_no_store_of_this_format_is_refused(store: Store, content: str, told: str) -> None:
    (store.path / "store.json").write_text(content)
    with pytest.raises(StoreError, match=told):
        Store(store.path)


def test_a_directory_of_somebody_elses_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match=r"is not a store of bnnbench: it holds 'thesis\.tex'"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_store_without_a_marker_becomes_a_current_one(store: Store, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(store.path / "cells", old / "cells")
    assert Store(old).record("cells", KEY) is not None
    with Store(old).held():
        assert json.loads((old / "store.json").read_text())["format"] == 1
    assert Store(old).record("cells", KEY) is not None


def test_a_directory_of_other_things_is_no_unmarked_store(tmp_path: Path) -> None:
    for name in ("quarantine", "runs"):
        (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match="holds no fits and no cells"):
        Store(tmp_path)
