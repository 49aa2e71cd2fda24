"""The commit that a benchmarks file lies in, asked of a repository that may be hostile."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.running import manifest

pytestmark = pytest.mark.integration

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
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert manifest.begun(planned(tmp_path))["git"] == commit
    (tmp_path / "benchmarks.yaml").write_text(FILE + "# changed\n")
    assert manifest.begun(make_plan(read_config(tmp_path / "benchmarks.yaml")))["git"] == f"{commit}-dirty"


@pytest.mark.parametrize("missing", ["nothing", "commit", "tree"])
@pytest.mark.parametrize("filters", [False, True])
def test_a_hostile_repository_runs_nothing(tmp_path: Path, missing: str, filters: bool) -> None:
    plan = planned(tmp_path)
    (tmp_path / ".gitattributes").write_text("benchmarks.yaml filter=x diff=x\n")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "benchmarks.yaml").write_text(FILE + "# changed\n")
    program = f"touch {tmp_path / 'ran'}"
    for name in (
        *(("filter.x.clean", "filter.x.process") if filters else ()),
        "diff.x.command", "diff.x.textconv", "diff.external", "core.fsmonitor",
        "core.pager", "pager.rev-parse", "core.sshCommand", "core.editor", "alias.rev-parse",
    ):  # fmt: skip
        git(tmp_path, "config", name, f"!{program}" if name.startswith("alias") else program)
    hook = tmp_path / ".git" / "hooks" / "post-index-change"
    hook.write_text(f"#!/bin/sh\n{program}\n")
    hook.chmod(0o755)
    if missing != "nothing":
        # What is not there, and a promise that this program fetches it.
        tree = git(tmp_path, "rev-parse", "HEAD^{tree}")
        if missing == "commit":
            (tmp_path / ".git" / "HEAD").write_text("a" * 40 + "\n")
        else:
            (tmp_path / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
        for name, value in {
            "core.repositoryFormatVersion": "1",
            "extensions.partialClone": "origin",
            "remote.origin.url": f"ext::{program}",
            "remote.origin.promisor": "true",
            "protocol.ext.allow": "always",
        }.items():
            git(tmp_path, "config", name, value)
    told = str(manifest.begun(plan)["git"])
    assert told.partition("-")[2] == ("dirty" if missing == "nothing" and not filters else "unknown")
    assert not (tmp_path / "ran").exists()
