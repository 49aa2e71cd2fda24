"""Standard output holds what the command prints, and nothing else; standard error takes the rest."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import called
from light import written
from plugged import install

import bnnbench.cli
from bnnbench.cli import printing

NOISY = """
print("NOISE of the module")
import bnnbench as bb

class Noisy(bb.Attack):
    def fingerprint(self):
        print("NOISE of the fingerprint")
        return ""
    def perturb(self, victim, x, y, threat, rng):
        print("NOISE of the attack")
        return x
"""
FILE = """\
epsilons: [0.05]
evaluate: {images: 20}
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: {hidden: [4]}}
posteriors: {fixed: {use: 'light.py:Fixed'}}
attacks: {noisy: {use: 'noisy.py:Noisy'}}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a benchmarks file whose attack prints, and the store of its run."""
    folder = tmp_path_factory.mktemp("noisy")
    (folder / "noisy.py").write_text(NOISY)
    written(folder, FILE)
    done = called("run", "-j", "0", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "NOISE" not in done.stdout
    assert "NOISE of the attack" in done.stderr
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["report"],
        *(["report", "--format", form] for form in ("json", "csv", "markdown", "latex")),
        ["plan", "--quick"],
        ["schema"],
        ["plugins", "list"],
        ["store", "gc", "--keep", "benchmarks.yaml", "--dry-run"],
    ],
)
def test_what_components_print_is_no_output(ran: Path, words: list[str]) -> None:
    done = called(*words, folder=ran)
    assert done.returncode == 0, done.stderr
    assert "NOISE" not in done.stdout
    if "json" in words or words == ["schema"]:
        json.loads(done.stdout)
    if "csv" in words:
        assert [row["attack"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["noisy"]


def test_commands_print_through_one_function() -> None:
    """A `print` in a command would go to standard error, with the prints of plugins."""
    own = {"output.py", "printing.py", "app.py"}
    for path in Path(bnnbench.cli.__file__).parent.glob("*.py"):
        if path.name in own:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            printing_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            assert not printing_call or [word.arg for word in node.keywords] == ["file"], f"{path.name}: print"
            assert not (isinstance(node, ast.Attribute) and node.attr == "stdout"), f"{path.name}: sys.stdout"


PLUGIN = """
import atexit, ctypes, os, subprocess, sys, threading, time
def noise():
    print("NOISE \\udce9")
    sys.__stdout__.write("NOISE\\n")
    os.write(1, b"NOISE\\n")
    ctypes.CDLL(None).printf(b"NOISE\\n")
    subprocess.run(["echo", "NOISE"])
noise()
atexit.register(noise)
threading.Thread(target=lambda: [print("NOISE") for _ in range(100) if not time.sleep(0.01)], daemon=True).start()

from bnnbench import hookimpl

@hookimpl
def bnnbench_register(registry):
    noise()
    raise SystemExit(0)
"""


@pytest.mark.integration
@pytest.mark.parametrize("words", [["schema"], ["plugins", "list"]])
def test_what_a_plugin_prints_in_any_way_goes_to_standard_error(tmp_path: Path, words: list[str]) -> None:
    environment = install(tmp_path, PLUGIN, "noisy_plugin")
    command = [sys.executable, "-m", "bnnbench", *words]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "NOISE" in done.stdout, "NOISE" in done.stderr) == (0, False, True), done.stderr
    assert "Traceback" not in done.stderr


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A shell script in which `$B` is the command."""
    variables = os.environ | {"B": f"{sys.executable} -m bnnbench"}
    return subprocess.run(["sh", "-c", script], cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.integration
def test_a_run_with_closed_streams_keeps_its_outcomes_and_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    written(tmp_path, FILE)
    assert shell("$B run -j 1 <&- >&- 2>&-", tmp_path).returncode == 0
    kept = called("report", "--format", "json", folder=tmp_path).stdout
    assert [row["status"] for row in json.loads(kept)] == ["ok"]
    for closed in ("<&-", ">&-", "2>&-"):
        assert shell(f"$B run -j 0 {closed}", tmp_path).returncode == 0, closed
        assert shell(f"$B run gone.yaml {closed}", tmp_path).returncode == 2, closed
    assert called("report", "--format", "json", folder=tmp_path).stdout == kept


@pytest.mark.integration
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_output_that_cannot_be_written_is_told_and_outcomes_keep_their_exit_code(ran: Path) -> None:
    told = "bnnbench: standard output cannot be written to: no space left on device\n"
    for words in ("report", "report --format csv", "schema", "store info", "--help"):
        done = shell(f"$B {words} > /dev/full", ran)
        assert (done.returncode, done.stderr[-len(told) :]) == (2, told), words
    for words, code in (("run -j 0", 0), ("store verify", 0), ("run gone.yaml", 2)):
        done = shell(f"$B {words} > /dev/full", ran)
        assert done.returncode == code, words
        assert (told in done.stderr) is (code == 0)
    assert shell("$B run -j 0 2> /dev/full", ran).returncode == 0


def test_the_width_is_that_of_columns_or_of_the_terminal_of_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "own_output", lambda: io.StringIO())
    for given, width in (("120", 120), ("0", 80), ("-5", 80), ("wide", 80), ("", 80)):
        monkeypatch.setenv("COLUMNS", given)
        assert printing._columns() == width
