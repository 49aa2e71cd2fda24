"""What ends a command before or beside its own code."""

from __future__ import annotations

import errno
import os
from pathlib import Path

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
