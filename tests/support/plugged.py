"""Plugins for tests: a distribution in a folder, seen by every process that has the folder on its path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def install(folder: Path, source: str, module: str = "tried") -> dict[str, str]:
    """Write a module as a distribution with an entry point of its own; returns the environment that sees it."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[bnnbench]\n{module} = {module}\n")
    (folder / f"{module}.py").write_text(source)
    return {**os.environ, "PYTHONPATH": str(folder)}


def bnnbench(
    *arguments: str, folder: Path, environment: dict[str, str] | None = None, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "bnnbench", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def rows(folder: Path, environment: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """What `report --format json` says of `benchmarks.yaml` in a folder."""
    done = bnnbench("report", "--format", "json", folder=folder, environment=environment)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
