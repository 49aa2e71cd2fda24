"""Plugins that are installed in this process."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest
from one_plugin import Install


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a module and its distribution's metadata on the path; gives back its entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(distribution: str, module: str, source: str) -> list[metadata.EntryPoint]:
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[bnnbench]\n{module} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        return list(metadata.PathDistribution(info).entry_points)

    return put
