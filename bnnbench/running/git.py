"""The commit of a folder's git repository, asked so that git runs none of the programs that the repository names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_OF_ANOTHER_REPOSITORY = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
)
"""Variables by which git's hooks tell commands about their own repository."""
_SECONDS = 5.0
"""The time limit for a git command."""


def commit_of(folder: Path) -> str | None:
    """The commit of a folder's git repository; None if it is in none.

    `-dirty` is appended if the content of files has changed since, and `-unknown` if that cannot be found out safely:
    to compare files git runs filters and hooks that the repository's configuration names, so files are compared only if
    it names none.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None or commit.returncode != 0:
        return None
    programs = _git(folder, "config", "--show-scope", "--name-only", "--get-regexp", r"^(filter|hook)\.")
    # Exit code 1 means that there are none. Programs of the user or the system are trusted as much as git itself.
    if programs is None or programs.returncode > 1 or set(programs.stdout.split()[::2]) - {"global", "system"}:
        return f"{commit.stdout.strip()}-unknown"
    # `diff-index` would call a file changed that has another time and the same content.
    options = ("--quiet", "--no-ext-diff", "--no-textconv", "--no-renames", "--ignore-submodules=all")
    changed = _git(folder, "diff", *options, "HEAD")
    known = {0: "", 1: "-dirty"}
    return commit.stdout.strip() + (known.get(changed.returncode, "-unknown") if changed else "-unknown")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """The finished process of a git command in a folder; None if it could not run or took longer than it may."""
    # Git refreshes the times in its index, and would run a hook after that.
    command = ["git", "--no-pager", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", *arguments]
    # Git must not fetch missing objects: the repository's configuration names the program that does.
    restricted = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment | restricted,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
