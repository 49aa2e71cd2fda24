"""The manifest of a run: what it says, what it must not say, and what is not believed of it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from plugged import install

import bnnbench
from bnnbench.matrix import manifest
from bnnbench.matrix.config import read_config
from bnnbench.matrix.environment import command_line, environment
from bnnbench.matrix.plan import Plan, make_plan

FILE = """\
epsilons: [0.05]
evaluate: {images: 40, draws: 4}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 100}}
networks: {fc: {hidden: [8]}}
posteriors: {sgd: {epochs: 2}}
attacks: {pgd: {objective: log-margin}}
"""


def planned(folder: Path) -> Plan:
    (folder / "benchmarks.yaml").write_text(FILE)
    return make_plan(read_config(folder / "benchmarks.yaml"))


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_commit_that_the_file_lies_in_is_told(tmp_path: Path) -> None:
    assert manifest.begun(planned(tmp_path))["git"] is None
    git(tmp_path, "init")
    assert manifest.begun(planned(tmp_path))["git"] is None
    git(tmp_path, "commit", "--allow-empty", "-m", "first")
    assert manifest.begun(planned(tmp_path))["git"] == git(tmp_path, "rev-parse", "HEAD")


@pytest.mark.parametrize("missing", [False, True])
def test_a_hostile_repository_runs_nothing(tmp_path: Path, missing: bool) -> None:
    plan = planned(tmp_path)
    (tmp_path / ".gitattributes").write_text("benchmarks.yaml filter=x diff=x\n")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "benchmarks.yaml").write_text(FILE + "# changed\n")
    program = f"touch {tmp_path / 'ran'}"
    for name in (
        "filter.x.clean", "filter.x.process", "diff.x.command", "diff.x.textconv", "diff.external", "core.fsmonitor",
        "core.pager", "pager.rev-parse", "core.sshCommand", "core.editor", "alias.rev-parse",
    ):  # fmt: skip
        git(tmp_path, "config", name, f"!{program}" if name.startswith("alias") else program)
    hook = tmp_path / ".git" / "hooks" / "post-index-change"
    hook.write_text(f"#!/bin/sh\n{program}\n")
    hook.chmod(0o755)
    if missing:
        # A commit that is not there, and a promise that this program fetches it.
        (tmp_path / ".git" / "HEAD").write_text("a" * 40 + "\n")
        for name, value in {
            "core.repositoryFormatVersion": "1",
            "extensions.partialClone": "origin",
            "remote.origin.url": f"ext::{program}",
            "remote.origin.promisor": "true",
            "protocol.ext.allow": "always",
        }.items():
            git(tmp_path, "config", name, value)
    assert len(str(manifest.begun(plan)["git"])) == 40
    assert not (tmp_path / "ran").exists()


def test_what_is_broken_on_the_path_ends_no_run_and_the_first_of_two_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(tmp_path)
    for place, version in (("first", b"2.0"), ("second", b"1.0")):
        for name, content in {"twice": b"Name: twice\nVersion: " + version, "broken": None, "odd": b"\xff"}.items():
            info = tmp_path / place / f"{name}-1.0.dist-info"
            info.mkdir(parents=True)
            if content:
                (info / "METADATA").write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path / "second"))
    monkeypatch.syspath_prepend(str(tmp_path / "first"))
    told = manifest.begun(plan)["distributions"]
    assert told["twice"] == metadata.version("twice") == "2.0"
    assert None not in told
    assert told["torch"] == metadata.version("torch")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/somewhere/bin/bnnbench", "run", "-j", "2"], ["/somewhere/bin/bnnbench", "run", "-j", "2"]),
        (["bnnbench.exe", "run"], ["bnnbench.exe", "run"]),
        ([f"{Path(bnnbench.__file__).parent}/__main__.py", "run"], None),
        (["/jobs/job.py", "--api-token", "hunter2"], ["job.py"]),
        (["/other/__main__.py", "--api-token", "hunter2"], ["__main__.py"]),
        (["-c", "hunter2"], ["-c"]),
        ([""], [""]),
        ([], [""]),
    ],
)
def test_a_command_line_is_told_if_it_is_bnnbench_s_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, argv: list[str], told: list[str] | None
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == (argv if told is None else told)
    assert manifest.begun(planned(tmp_path))["argv"] == command_line()


def test_variables_that_change_numbers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "JAX_DEFAULT_PRNG_IMPL", "JAX_THREEFRY_PARTITIONABLE", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_DISABLE_JIT",
        "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE",
        "ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "XLA_FLAGS",
    }  # fmt: skip
    for name in names:
        monkeypatch.setenv(name, "something")
    assert set(environment(1)["variables"]) >= names


def test_the_version_of_every_plugin_is_part_of_the_environment(tmp_path: Path) -> None:
    variables = install(tmp_path, "raise SystemExit('nobody imports it')", "absent")
    (tmp_path / "broken-1.0.dist-info").mkdir()
    (tmp_path / "broken-1.0.dist-info" / "entry_points.txt").write_text("[bnnbench]\nbroken = absent\n")
    code = "import json; from bnnbench.matrix.environment import environment; print(json.dumps(environment(1)))"
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    versions = json.loads(done.stdout)["versions"]
    assert versions["absent"] == "1.0"
    assert versions["torch"] == metadata.version("torch")
    assert versions["bnnbench"] == metadata.version("bnnbench")
    assert "" not in versions
