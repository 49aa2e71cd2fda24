"""Letters that an output cannot show, and paths that are no text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import called
from light import ONE_FIT, written

NAME = os.fsdecode(b"caf\xe9")
"""The name of a folder in Latin-1, which is not UTF-8."""
NETWORK = """\
import torch

class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

class Failing(Net):
    def __init__(self):
        raise RuntimeError("caf\\udce9 \\u2717")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name is not UTF-8, with a benchmarks file and the store of its run."""
    folder = tmp_path_factory.mktemp("encodings") / NAME
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("the file system takes names in UTF-8 alone")
    networks = "networks: {net: {use: 'net.py:Net'}, failing: {use: 'net.py:Failing'}}"
    written(folder, ONE_FIT.replace("networks: {fc: {hidden: [4]}}", networks))
    (folder / "net.py").write_text(NETWORK)
    done = called("run", f"{NAME}/benchmarks.yaml", "--store", f"{NAME}/store", "-j", "0", folder=folder.parent)
    assert done.returncode == 1, done.stderr
    assert "RuntimeError: caf? \u2717" in done.stderr
    return folder


def test_paths_that_are_not_utf_8_serve_every_command(folder: Path) -> None:
    file, store = f"{NAME}/benchmarks.yaml", f"{NAME}/store"
    above = folder.parent
    for words in (
        ["report", file, "--store", store],
        *(["report", file, "--store", store, "--format", form, "-o", NAME + form] for form in ("json", "csv", "latex")),
        ["plan", file, "--store", store, "--quick"],
        ["store", "info", "--store", store],
        ["store", "verify", "--store", store],
        ["replay", str(next((folder / "store" / "runs").iterdir())), "-j", "0"],
    ):
        done = called(*words, folder=above)
        assert "Traceback" not in done.stderr
        assert done.returncode == 0, (words, done.stderr)
    rows = json.loads((above / f"{NAME}json").read_text())
    assert {(row["network"], row["status"]) for row in rows} == {("net", "ok"), ("failing", "skipped")}


@pytest.mark.parametrize("words", [["run", NAME], ["show", NAME], ["plugins", "show", NAME], ["replay", NAME]])
def test_a_mistake_with_such_a_name_is_one_line(tmp_path: Path, words: list[str]) -> None:
    done = called(*words, folder=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "caf?" in line


@pytest.mark.integration
@pytest.mark.parametrize(
    ("variables", "forms"),
    [
        ({"PYTHONIOENCODING": "ascii"}, ("table", "csv", "latex")),
        ({"PYTHONIOENCODING": "latin-1"}, ("table",)),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, ("json",)),
    ],
    ids=["ascii", "latin-1", "C"],
)
def test_what_the_output_cannot_show_is_replaced(
    folder: Path, variables: dict[str, str], forms: tuple[str, ...]
) -> None:
    above = folder.parent
    command = [sys.executable, "-m", "bnnbench", "report", f"{NAME}/benchmarks.yaml", "--store", f"{NAME}/store"]
    for form in forms:
        done = subprocess.run(
            [*command, "--format", form], cwd=above, env=os.environ | variables, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"ok" in done.stdout or b"random" in done.stdout
