"""The manifest of a run: what it says, what it must not say, and what is not believed of it."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from bnnbench.matrix import manifest
from bnnbench.matrix.config import read_config
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
