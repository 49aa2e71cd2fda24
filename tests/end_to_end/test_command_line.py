"""The command line in processes of its own: pipes, signals and imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import called
from light import ONE_FIT, written
from matrices import NET


def call(*words: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bnnbench", *words]
    environment = os.environ | {"COLUMNS": "80"} | variables
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False, env=environment
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("cli")
    written(folder, ONE_FIT)
    return folder, call("run", "benchmarks.yaml", "-j", "1", folder=folder)


def test_a_command_prints_in_a_process_what_it_prints_here(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """So that most commands can be tested without one."""
    folder, done = ran
    assert done.returncode == 0, done.stderr
    assert called("report", folder=folder) == (0, done.stdout, "")
    bad = call("run", "gone.yaml", folder=folder)
    assert called("run", "gone.yaml", folder=folder) == (bad.returncode, bad.stdout, bad.stderr)
    assert bad.returncode == 2


def test_plan_report_and_show_import_no_framework(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = ran
    key = json.loads(called("report", "--format", "json", folder=folder).stdout)[0]["cell"]
    commands = [
        ["--help"],
        ["plugins", "list"],
        ["plugins", "show", "pgd"],
        ["plan"],
        ["report"],
        ["report", "--format", "csv"],
        ["show", key[:8]],
        ["schema"],
    ]
    code = (  # One process for all: what one of them imports is seen after it.
        "import sys\n"
        "from bnnbench.cli.app import run_app\n"
        "names = ('torch', 'jax', 'pyro', 'numpyro', 'pandas', 'scipy.stats')\n"
        f"for words in {commands!r}:\n"
        "    sys.argv = ['bnnbench', *words]\n"
        "    found = run_app(), [name for name in names if name in sys.modules]\n"
        "    assert found == (0, []), (words, found)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def piped(words: str, reader: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The standard error and the exit code of a command whose reader goes away."""
    script = f"set -o pipefail; {sys.executable} -m bnnbench {words} | {reader}"
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


COMMANDS = (
    *("schema", "report", "report --format json", "plan", "plugins list", "plugins show pgd"),
    *("--help", "--version", "run"),
)


@pytest.mark.parametrize(
    ("words", "reader"),
    [*((words, "head -1") for words in COMMANDS), *((words, "true") for words in ("schema", "report", "run"))],
)
def test_a_reader_that_goes_away_is_no_mistake(
    ran: tuple[Path, subprocess.CompletedProcess[str]], words: str, reader: str
) -> None:
    done = piped(words, reader, ran[0])
    assert done.returncode == 0, done.stderr
    if words != "run":
        assert done.stderr == ""


def test_a_run_that_nobody_listens_to_is_finished(tmp_path: Path) -> None:
    written(tmp_path, ONE_FIT)
    done = piped("run -j 1 2>&1", "head -1", tmp_path)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    rows = json.loads(called("report", "--format", "json", folder=tmp_path).stdout)
    assert [row["status"] for row in rows] == ["ok"] * 3
    (manifest,) = (tmp_path / "store" / "runs").iterdir()
    assert json.loads(manifest.read_text())["ended"]


def test_a_run_that_failed_is_exit_1_though_nobody_listens(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    written(tmp_path, ONE_FIT.replace("fc: {hidden: [4]}", "net: {use: 'net.py:Net'}"))
    assert piped("run -j 1 2>&1", "true", tmp_path).returncode == 1
    assert piped("run gone.yaml 2>&1", "true", tmp_path).returncode == 2


def test_block_leaves_a_plugin_out(tmp_path: Path) -> None:
    text = call("--block", "attacks", "plugins", "list", folder=tmp_path).stdout
    assert "half-moons" in text
    assert "fgsm" not in text


def test_a_signal_changes_no_exit_code_when_all_is_done(tmp_path: Path) -> None:
    """While Python takes itself down; another thread, which masks nothing, is there to receive it."""
    code = (
        "import atexit, os, signal, sys, threading, time\n"
        "sys.argv = ['bnnbench', '--version']\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "atexit.register(lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.1)))\n"
        "from bnnbench.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
