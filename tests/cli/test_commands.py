"""What the commands print, and their exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from commands import Done, called
from matrices import NET, ONE_FIT

import bnnbench as bb


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "benchmarks.yaml").write_text(ONE_FIT)
    return folder, called("run", "benchmarks.yaml", "-j", "0", folder=folder)


def test_run_prints_the_table_and_report_prints_it_again(ran: tuple[Path, Done]) -> None:
    folder, done = ran
    assert done.returncode == 0, done.stderr
    assert "moons / fc: accuracy in %, 40 test images" in done.stdout
    assert re.search(r"posterior +eps +clean +random +fgsm +pgd +worst", done.stdout)
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    again = called("report", folder=folder)
    assert again.stdout == done.stdout


def test_no_digit_of_a_table_is_dropped(ran: tuple[Path, Done]) -> None:
    """Every percentage in the narrow table is that of the rows, at any width."""
    folder, _ = ran
    rows = json.loads(called("report", "--format", "json", folder=folder).stdout)
    for width in (40, 60, 80, 200):
        table = called("report", folder=folder, columns=width).stdout
        for row in rows:
            for name in ("clean_accuracy", "robust_accuracy"):
                assert f"{100 * row[name]:.1f}" in table
            assert f"{100 * row['low']:.1f}-{100 * row['high']:.1f}" in table
        assert max(len(line) for line in table.splitlines()) <= width


def test_plan_says_what_is_there_and_what_is_left(ran: tuple[Path, Done]) -> None:
    folder, _ = ran
    assert "nothing is left to do" in called("plan", folder=folder).stdout
    (folder / "more.yaml").write_text(ONE_FIT.replace("epochs: 2", "epochs: 3"))
    told = called("plan", "more.yaml", "--quick", folder=folder).stdout
    assert "1 fit and 3 cells" in told
    assert "to fit; 0 of 3 cells done" in told


def test_bad_input_is_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(ONE_FIT.replace("epochs", "epoch"))
    for words, line in [
        (["run", "gone.yaml"], "gone.yaml: no such file or directory"),
        (["run", "bad.yaml"], "bad.yaml:5:20: posteriors.sgd: sgd has no parameter 'epoch'; did you mean 'epochs'?"),
        (["plan", "bad.yaml"], "bad.yaml:5:20: posteriors.sgd: sgd has no parameter 'epoch'; did you mean 'epochs'?"),
        (
            ["show", "abcd"],
            "bnnbench: there is no store store, so no record begins with 'abcd'",
        ),
        (["plugins", "show", "pdg"], "bnnbench: no component named 'pdg'; did you mean 'pgd'?"),
    ]:
        done = called(*words, folder=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", line + "\n"), words
    done = called("run", "--jbos", "2", folder=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store").exists()


def test_what_cannot_be_written_is_one_line_and_nothing_is_computed(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(ONE_FIT)
    (tmp_path / "file").touch()
    for words, line in [
        (["run", "good.yaml", "--store", "file"], "bnnbench: file cannot be used as a store: not a directory"),
        (["run", "good.yaml", "--store", "file/s"], "bnnbench: file/s cannot be used as a store: not a directory"),
        (
            ["report", "good.yaml", "--format", "csv", "-o", "gone/table.csv"],
            "bnnbench: gone/table.csv: no such file or directory",
        ),
    ]:
        done = called(*words, folder=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (2, "", line), words
        assert "Traceback" not in done.stderr


def test_a_failed_cell_is_exit_1_and_its_traceback_is_shown(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT.replace("fc: {hidden: [4]}", "net: {use: 'net.py:Net'}"))
    done = called("run", "-j", "0", folder=tmp_path)
    assert done.returncode == 1
    assert "on purpose" in done.stdout
    fit = json.loads(called("report", "--format", "json", folder=tmp_path).stdout)[0]["fit"]
    shown = called("show", fit[:10], folder=tmp_path).stdout
    assert "Traceback" in shown
    assert "on purpose" in shown


def test_plugins_show_tells_type_default_bounds_meaning_and_origin(tmp_path: Path) -> None:
    text = called("plugins", "show", "pgd", folder=tmp_path).stdout
    assert f"pgd (attack) of bnnbench {bb.__version__}" in text
    assert "steps: int = 15  (>= 1)" in text
    assert "Gradient steps of each restart." in text
    assert "pgd.py" in text
    assert "objective: text or object = bnnbench:predictive-nll" in text
