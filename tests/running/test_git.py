"""The commit that a benchmarks file lies in, asked of a repository that may be hostile."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bnnbench.running.git import commit_of

pytestmark = pytest.mark.integration

FILE = "epsilons: [0.05]\n"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a repository around the folder of the test nor the settings of its user count."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def committed(folder: Path) -> str:
    """The commit of a repository that is made in a folder, with all its files."""
    (folder / "benchmarks.yaml").write_text(FILE)
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return git(folder, "rev-parse", "HEAD")


def test_the_commit_that_the_file_lies_in_is_told(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    git(tmp_path, "init")
    assert commit_of(tmp_path) is None
    commit = committed(tmp_path)
    assert commit_of(tmp_path) == commit
    (tmp_path / "notes.txt").write_text("not added")
    assert commit_of(tmp_path) == commit
    (tmp_path / "benchmarks.yaml").write_text(FILE + "# changed\n")
    assert commit_of(tmp_path) == f"{commit}-dirty"


@pytest.mark.parametrize("change", ["removed", "executable", "link", "staged", "replaced with the same size"])
def test_every_change_of_a_file_counts(tmp_path: Path, change: str) -> None:
    commit, file = committed(tmp_path), tmp_path / "benchmarks.yaml"
    if change == "removed":
        file.unlink()
    elif change == "executable":
        file.chmod(0o755)
    elif change == "link":
        file.rename(tmp_path / "elsewhere.yaml")
        file.symlink_to("elsewhere.yaml")
    elif change == "staged":
        file.write_text("other: text\n")
        git(tmp_path, "add", ".")
        file.write_text(FILE + "# changed\n")
    else:
        file.write_text(FILE.replace("0.05", "0.06"))
    assert commit_of(tmp_path) == f"{commit}-dirty"


def test_files_that_were_written_anew_with_the_same_content_have_not_changed(tmp_path: Path) -> None:
    """As after a copy of the folder, or a change of branch and back."""
    commit, file = committed(tmp_path), tmp_path / "benchmarks.yaml"
    for seconds in (10**9, 2 * 10**9):
        os.utime(file, (seconds, seconds))
        assert commit_of(tmp_path) == commit
    file.write_text(FILE + "# changed\n")
    os.utime(file, (seconds, seconds))
    assert commit_of(tmp_path) == f"{commit}-dirty"


def test_the_repository_of_a_hook_that_runs_bnnbench_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("other", "own"):
        (tmp_path / name).mkdir()
    other, own = committed(tmp_path / "other"), tmp_path / "own"
    (own / "more.yaml").write_text(FILE)
    commit = committed(own)
    assert commit != other
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    assert commit_of(own) == commit


@pytest.mark.parametrize("missing", ["nothing", "commit", "tree", "blob"])
@pytest.mark.parametrize("named", ["", "filters", "hooks"])
@pytest.mark.parametrize("changed", [False, True])
def test_a_hostile_repository_runs_nothing(tmp_path: Path, missing: str, named: str, changed: bool) -> None:
    (tmp_path / ".gitattributes").write_text("benchmarks.yaml filter=x diff=x\n")
    committed(tmp_path)
    (tmp_path / "benchmarks.yaml").write_text(FILE + "# changed\n" * changed)
    os.utime(tmp_path / "benchmarks.yaml", (10**9, 10**9))
    program = f"touch {tmp_path / 'ran'}"
    for name in (
        *(("filter.x.clean", "filter.x.process") if named == "filters" else ()),
        *(("hook.x.command",) if named == "hooks" else ()),
        "diff.x.command", "diff.x.textconv", "diff.external", "core.fsmonitor",
        "core.pager", "pager.rev-parse", "core.sshCommand", "core.editor", "alias.rev-parse",
    ):  # fmt: skip
        git(tmp_path, "config", name, f"!{program}" if name.startswith("alias") else program)
    if named == "hooks":
        git(tmp_path, "config", "hook.x.event", "post-index-change")
    hook = tmp_path / ".git" / "hooks" / "post-index-change"
    hook.write_text(f"#!/bin/sh\n{program}\n")
    hook.chmod(0o755)
    if missing != "nothing":
        # What is not there, and a promise that this program fetches it.
        gone = git(tmp_path, "rev-parse", "HEAD:benchmarks.yaml" if missing == "blob" else "HEAD^{tree}")
        if missing == "commit":
            (tmp_path / ".git" / "HEAD").write_text("a" * 40 + "\n")
        else:
            (tmp_path / ".git" / "objects" / gone[:2] / gone[2:]).unlink()
        for name, value in {
            "core.repositoryFormatVersion": "1",
            "extensions.partialClone": "origin",
            "remote.origin.url": f"ext::{program}",
            "remote.origin.promisor": "true",
            "protocol.ext.allow": "always",
        }.items():
            git(tmp_path, "config", name, value)
    safe = missing == "nothing" and not named
    assert str(commit_of(tmp_path)).partition("-")[2] == ("dirty" * changed if safe else "unknown")
    assert not (tmp_path / "ran").exists()
