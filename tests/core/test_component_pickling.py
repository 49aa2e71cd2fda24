"""Components from a user's own file in other processes: they are pickled by the file, and checked there."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from known import random_ensemble, random_inputs
from own_files import components, made, written

import bnnbench as bb
from bnnbench.errors import StoreError
from bnnbench.running.tasks.worker import check_code

FINGERPRINTED = """
from pathlib import Path
from typing import ClassVar

import bnnbench as bb


class Points(bb.Dataset):
    not_in_identity: ClassVar = frozenset({"path"})

    path: bb.InputPath = ""

    def fingerprint(self):
        return Path(self.path).read_text()
"""


def test_a_component_survives_pickling(tmp_path: Path) -> None:
    found = components(written(tmp_path))
    ensemble, (x, y) = random_ensemble(), random_inputs()
    for name, component in found.items():
        again = pickle.loads(pickle.dumps(component))
        assert again == component, name
        assert type(again) is type(component)
        assert again.identity() == component.identity()
        check_code(again)
    again = pickle.loads(pickle.dumps(found["first"]))
    threat = bb.Threat(epsilon=0.1)
    assert torch.equal(again(ensemble, x, y, threat), found["first"](ensemble, x, y, threat))


@pytest.mark.integration
def test_a_component_is_unpickled_in_a_process_that_has_not_read_its_file(tmp_path: Path) -> None:
    found = components(written(tmp_path))
    (tmp_path / "pickled").write_bytes(pickle.dumps(found))
    code = (
        "import json, pickle, sys\n"
        "found = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(json.dumps({name: one.rebuilt().identity() for name, one in found.items()}))\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-c", code, str(tmp_path / "pickled")]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout) == {name: component.identity() for name, component in found.items()}


@pytest.mark.parametrize("edit", ["mine.py", "scales_of_a_test.py"])
@pytest.mark.parametrize("label", ["step", "pgd", "first", "points", "net@width=3"])
def test_a_task_notices_that_a_file_was_edited_after_planning(edit: str, label: str, tmp_path: Path) -> None:
    component = components(written(tmp_path))[label]
    packed = pickle.dumps(component)
    check_code(component)
    with (tmp_path / edit).open("a") as file:
        file.write("# edited\n")
    with pytest.raises(StoreError, match=r"mine\.py:\w+ is not what the run was planned with"):
        check_code(component)
    with pytest.raises(StoreError, match=r"mine\.py:\w+ is not what the run was planned with"):
        pickle.loads(packed)


def test_a_computer_without_the_file_says_so_on_one_line(tmp_path: Path) -> None:
    found = components(written(tmp_path))
    packed = pickle.dumps(found["step"])
    (tmp_path / "mine.py").unlink()
    with pytest.raises(bb.PluginError, match=r"^/[^\n]*mine\.py: no such file or directory$"):
        pickle.loads(packed)
    plain = pickle.loads(pickle.dumps(found["plain"]))
    with pytest.raises(bb.PluginError, match=r"^/[^\n]*mine\.py: no such file or directory$"):
        check_code(plain)


def test_data_that_changed_after_planning_are_noticed_where_the_file_is_unpickled(tmp_path: Path) -> None:
    """The identity of the plan travels with the component; its fingerprint is not taken anew."""
    (tmp_path / "mine.py").write_text(FINGERPRINTED)
    (tmp_path / "data").write_text("before")
    packed = pickle.dumps(made(tmp_path, "Points", path=str(tmp_path / "data")))
    (tmp_path / "data").write_text("after")
    with pytest.raises(StoreError, match="fingerprint 'before', here 'after'"):
        check_code(pickle.loads(packed))
