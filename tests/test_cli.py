"""The command line as a person meets it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bnnbench as bb
from bnnbench.cli import display
from bnnbench.matrix.config import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.matrix.progress import Step
from bnnbench.matrix.schedule import Task

FILE = """\
epsilons: [0.05]
evaluate: {images: 40}
datasets: {moons: {use: half-moons, train_size: 100, test_size: 60}}
networks: {fc: {hidden: [4]}}
posteriors: {sgd: {epochs: 2}}
attacks: {random: {use: random-sign}, fgsm: , pgd: {steps: 2}}
"""


def call(*words: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bnnbench", *words]
    environment = os.environ | {"COLUMNS": "80"} | variables
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False, env=environment
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "benchmarks.yaml").write_text(FILE)
    return folder, call("run", "benchmarks.yaml", "-j", "1", folder=folder)


def test_run_prints_the_table_and_report_prints_it_again(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = ran
    assert done.returncode == 0, done.stderr
    assert "moons / fc: accuracy in %, 40 test images" in done.stdout
    assert re.search(r"posterior +eps +clean +random +fgsm +pgd +worst", done.stdout)
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    again = call("report", folder=folder)
    assert again.stdout == done.stdout


def test_no_digit_of_a_table_is_dropped(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Every percentage in the narrow table is that of the rows, at any width."""
    folder, _ = ran
    rows = json.loads(call("report", "--format", "json", folder=folder).stdout)
    for width in ("40", "60", "80", "200"):
        table = call("report", folder=folder, COLUMNS=width).stdout
        for row in rows:
            for name in ("clean_accuracy", "robust_accuracy"):
                assert f"{100 * row[name]:.1f}" in table
            assert f"{100 * row['low']:.1f}-{100 * row['high']:.1f}" in table
        assert max(len(line) for line in table.splitlines()) <= int(width)


def test_plan_report_and_show_import_no_framework(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = ran
    key = json.loads(call("report", "--format", "json", folder=folder).stdout)[0]["cell"]
    for words in (
        ["--help"],
        ["plugins", "list"],
        ["plugins", "show", "pgd"],
        ["plan"],
        ["report"],
        ["report", "--format", "csv"],
        ["show", key[:8]],
        ["schema"],
    ):
        code = (
            f"import sys; sys.argv = ['bnnbench', *{words!r}]\n"
            "from bnnbench.cli.app import run_app; run_app()\n"
            "names = ('torch', 'jax', 'pyro', 'numpyro', 'pandas')\n"
            "print([name for name in names if name in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
        assert done.stderr == "[]\n", (words, done.stderr)


def test_plan_says_what_is_there_and_what_is_left(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = ran
    assert "nothing is left to do" in call("plan", folder=folder).stdout
    (folder / "more.yaml").write_text(FILE.replace("epochs: 2", "epochs: 3"))
    told = call("plan", "more.yaml", folder=folder).stdout
    assert "1 fit and 3 cells" in told
    assert "to fit; 0 of 3 cells done" in told


def test_bad_input_is_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(FILE.replace("epochs", "epoch"))
    for words, line in [
        (["run", "gone.yaml"], "gone.yaml: no such file or directory"),
        (["run", "bad.yaml"], "bad.yaml:5:20: posteriors.sgd: sgd has no parameter 'epoch'; did you mean 'epochs'?"),
        (["plan", "bad.yaml"], "bad.yaml:5:20: posteriors.sgd: sgd has no parameter 'epoch'; did you mean 'epochs'?"),
        (
            ["show", "abcd"],
            "bnnbench: no record in store begins with 'abcd' "
            "(a cell that is skipped because its fit failed has none: show its fit)",
        ),
        (["plugins", "show", "pdg"], "bnnbench: no component named 'pdg'; did you mean 'pgd'?"),
    ]:
        done = call(*words, folder=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", line + "\n"), words
    done = call("run", "--jbos", "2", folder=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store").exists()


def test_what_cannot_be_written_is_one_line_and_nothing_is_computed(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(FILE)
    (tmp_path / "file").touch()
    for words, line in [
        (["run", "good.yaml", "--store", "file"], "bnnbench: file cannot be used as a store: not a directory"),
        (["run", "good.yaml", "--store", "file/s"], "bnnbench: file/s cannot be used as a store: not a directory"),
        (
            ["report", "good.yaml", "--format", "csv", "-o", "gone/table.csv"],
            "bnnbench: gone/table.csv: no such file or directory",
        ),
    ]:
        done = call(*words, folder=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (2, "", line), words
        assert "Traceback" not in done.stderr


def test_a_failed_cell_is_exit_1_and_its_traceback_is_shown(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nclass Net(torch.nn.Linear):\n    def __init__(self): raise OSError('on purpose')\n"
    )
    (tmp_path / "benchmarks.yaml").write_text(FILE.replace("fc: {hidden: [4]}", "net: {use: 'net.py:Net'}"))
    done = call("run", folder=tmp_path)
    assert done.returncode == 1
    assert "on purpose" in done.stdout
    fit = json.loads(call("report", "--format", "json", folder=tmp_path).stdout)[0]["fit"]
    shown = call("show", fit[:10], folder=tmp_path).stdout
    assert "Traceback" in shown
    assert "on purpose" in shown


@pytest.mark.parametrize("kind", [display._Lines, display._Bars])
def test_the_second_part_of_a_run_counts_anew(
    tmp_path: Path, kind: type[display._Lines | display._Bars], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    plan = make_plan(read_config(tmp_path / "benchmarks.yaml"))
    (key, fit), shown = next(iter(plan.fits.items())), kind()
    for part in range(2):
        shown.begin(plan, 2, 0)
        shown.step(Step(key, 1, 2, ""))
        if isinstance(shown, display._Bars):
            assert [row.description for row in shown._bars.tasks] == ["all", "sgd on moons (fc)"], part
            assert shown._bars.tasks[0].completed == 0
        shown.done(Task("one", fit), "ok", 1.0, "")
        shown.end(1.0)
        told = capsys.readouterr().err
        assert ("[1/2] one: ok" if kind is display._Lines else "one: ok") in told


def piped(words: str, reader: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What is told where the reader of a command goes away: standard error, and the exit code of what failed last."""
    script = f"set -o pipefail; {sys.executable} -m bnnbench {words} | {reader}"
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "words",
    [
        "schema",
        "report",
        "report --format json",
        "plan",
        "plugins list",
        "plugins show pgd",
        "--help",
        "--version",
        "run",
    ],
)
@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_that_goes_away_is_no_mistake(
    ran: tuple[Path, subprocess.CompletedProcess[str]], words: str, reader: str
) -> None:
    done = piped(words, reader, ran[0])
    assert done.returncode == 0, done.stderr
    if words != "run":
        assert done.stderr == ""


def test_a_run_that_nobody_listens_to_is_finished(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    done = piped("run 2>&1", "head -1", tmp_path)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    rows = json.loads(call("report", "--format", "json", folder=tmp_path).stdout)
    assert [row["status"] for row in rows] == ["ok"] * 3
    (manifest,) = (tmp_path / "store" / "runs").iterdir()
    assert json.loads(manifest.read_text())["ended"]


def test_a_run_that_failed_is_exit_1_though_nobody_listens(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("class Net:\n    def __init__(self): raise OSError('on purpose')\n")
    (tmp_path / "benchmarks.yaml").write_text(FILE.replace("fc: {hidden: [4]}", "net: {use: 'net.py:Net'}"))
    assert piped("run 2>&1", "true", tmp_path).returncode == 1
    assert piped("run gone.yaml 2>&1", "true", tmp_path).returncode == 2


def test_plugins_show_tells_type_default_bounds_meaning_and_origin(tmp_path: Path) -> None:
    text = call("plugins", "show", "pgd", folder=tmp_path).stdout
    assert f"pgd (attack) of bnnbench {bb.__version__}" in text
    assert "steps: int = 15  (>= 1)" in text
    assert "Gradient steps of each restart." in text
    assert "pgd.py" in text
    assert "objective: text or object = predictive-nll" in text


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
