"""What ends a command before or beside its own code."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from unittest import mock

import pytest
from commands import called

FILE = """\
epsilons: [0.05]
datasets: {half-moons: {}}
networks: {fc: {}}
posteriors: {sgd: {}}
attacks: {odd: {use: 'odd.py:Odd'}}
"""
ODD = """\
import bnnbench as bb
from pydantic import model_validator

class Panic(BaseException):
    pass

class Odd(bb.Attack):
    @model_validator(mode="after")
    def check(self):
        raise %s
    def perturb(self, victim, x, y, threat, rng):
        return x
"""


@pytest.mark.parametrize("words", [["run", "-j", "0"], ["plan"], ["report"], ["schema"], ["plugins", "list"]])
def test_a_working_directory_that_is_gone_is_one_line(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> str:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    here = os.getcwd()
    monkeypatch.setattr(os, "getcwd", gone)
    monkeypatch.setattr("contextlib.chdir.__enter__", lambda self: os.chdir(self.path))
    monkeypatch.setattr("contextlib.chdir.__exit__", lambda self, *_: os.chdir(here))
    done = called(*words, folder=tmp_path)
    line = "bnnbench: the working directory is gone (no such file or directory): run the command in another one\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("SystemExit(0)", "SystemExit: 0"),
        ("GeneratorExit", "GeneratorExit"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("Panic('x')", "Panic: x"),
        ("EOFError", "EOFError"),
        ("BrokenPipeError(32, 'p')", "BrokenPipeError"),
    ],
)
def test_what_a_component_raises_is_a_mistake_of_its_line(tmp_path: Path, raised: str, told: str) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    (tmp_path / "odd.py").write_text(ODD % raised)
    done = called("plan", "--quick", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("benchmarks.yaml:5:")
    assert told in line


def test_what_a_plugin_raises_elsewhere_is_one_line_and_exit_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, told in (
        (SystemExit(0), "a plugin or a component raised SystemExit: 0"),
        (GeneratorExit(), "a plugin or a component raised GeneratorExit"),
        (EOFError("no line"), "EOFError: no line"),
        (BrokenPipeError(errno.EPIPE, "broken pipe"), "BrokenPipeError: [Errno 32] broken pipe"),
    ):

        def broken(error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("bnnbench.matrix.schema.json_schema", broken)
        done = called("schema", folder=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"bnnbench: {told}\n")


def test_a_wrong_value_of_an_option_is_told_with_what_is_meant(tmp_path: Path) -> None:
    for words, told in (
        (["report", "--format", "xls"], "'--format': 'xls' is not one of 'table', 'csv', 'json', 'markdown', 'latex'."),
        (["show", "ab", "--format", "yaml"], "'--format': 'yaml' is not one of 'text', 'json'."),
        (["run", "-j", "-1"], "should be greater than or equal to 0, not '-1'"),
        (["run", "--verify", "all"], "'--verify': Input should be a valid integer"),
    ):
        done = called(*words, folder=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
        assert "Value error" not in done.stderr


def test_a_name_that_no_plugin_has_is_told_before_anything_else(tmp_path: Path) -> None:
    with mock.patch.dict(os.environ):
        done = called("--block", "bnnbnch", "plan", "gone.yaml", folder=tmp_path)
    told, problem = done.stderr.splitlines()
    assert told.startswith("bnnbench: --block or BNNBENCH_BLOCK names 'bnnbnch', but no")
    assert told.endswith("; did you mean 'bnnbench'?")
    assert problem == "gone.yaml: no such file or directory"


def test_a_report_tells_that_there_is_no_store_and_names_the_file_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE.replace("odd: {use: 'odd.py:Odd'}", "fgsm: {}"))
    done = called("report", "--store", "misspelt", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "misspelt: there is no such store, so every cell is missing\n")
    (tmp_path / "empty").mkdir()
    done = called("report", "--store", "empty", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    done = called("report", "--store", "empty", "--format", "csv", "-o", "rows.csv", folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "bnnbench: rows.csv: no space left on device\n")
