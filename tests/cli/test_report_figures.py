"""`bnnbench report --figures`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import Done, called
from matrices import ONE_FIT

FAILING = """\
import bnnbench as bb

class Failing(bb.Figure):
    def pictures(self, results):
        raise RuntimeError("no luck")
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("figures")
    (folder / "benchmarks.yaml").write_text(ONE_FIT)
    (folder / "failing.py").write_text(FAILING)
    assert called("run", "-j", "0", folder=folder).returncode == 0
    return folder, called("report", folder=folder)


def test_all_figures_are_written_beside_the_report(ran: tuple[Path, Done]) -> None:
    folder, plain = ran
    done = called("report", "--figures", "all", folder=folder)
    assert (done.returncode, done.stdout) == (0, plain.stdout)
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "figure bracket has nothing to draw",
        "figure distances has nothing to draw",
        "all/radius-moons-fc.svg, with its numbers in radius-moons-fc.csv",
        "all/selective-moons-fc.svg, with its numbers in selective-moons-fc.csv",
        "figure sweep has nothing to draw",
        "figure traces has nothing to draw",
    ]
    assert len(list((folder / "all").iterdir())) == 4


def test_a_named_figure_is_written_alone_and_one_that_fails_is_told(ran: tuple[Path, Done]) -> None:
    folder, _ = ran
    done = called("report", "--format", "json", "--figures", "one", "--figure", "radius", folder=folder)
    assert done.stdout == called("report", "--format", "json", folder=folder).stdout
    assert done.stderr == "one/radius-moons-fc.svg, with its numbers in radius-moons-fc.csv\n"
    named = ("--figure", "failing.py:Failing", "--figure", "radius")
    done = called("report", "--figures", "two", *named, folder=folder)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "figure Failing failed: RuntimeError: no luck"
    assert (folder / "two" / "radius-moons-fc.svg").is_file()


def test_wrong_options_are_told_on_one_line(ran: tuple[Path, Done]) -> None:
    folder, _ = ran
    done = called("report", "--figure", "radius", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--figure needs --figures DIR, the folder of the files\n"
    done = called("report", "--figures", "three", "--figure", "radios", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no figure named 'radios'; did you mean 'radius'?" in done.stderr
    assert not (folder / "three").exists()
    done = called("report", "--figures", "benchmarks.yaml", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "'--figures'" in done.stderr


@pytest.mark.integration
def test_matplotlib_is_imported_only_when_something_is_drawn(ran: tuple[Path, Done]) -> None:
    folder, _ = ran
    code = (
        "import sys, bnnbench\nfrom bnnbench.cli.app import run_app\n"
        "sys.argv = ['bnnbench', *sys.argv[1:]]\nassert run_app() == 0\n"
        "print('matplotlib' in sys.modules, file=sys.stderr)"
    )
    drawing = ("report", "--figures", "four", "--figure", "radius")
    for words, imported in ((("report",), "False"), (("plan", "--quick"), "False"), (drawing, "True")):
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=True)
        assert done.stderr.splitlines()[-1] == imported, words
