"""The folder of downloads for tests of torchvision's sets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torchvision.datasets
from torchvision_stand_ins import More, Parts, Tiny


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of downloads, on a computer without files, and with the stand-ins in torchvision."""
    monkeypatch.delenv("BNNBENCH_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    for made in (Tiny, Parts, More):
        monkeypatch.setattr(made, "downloads", 0)
        monkeypatch.setattr(torchvision.datasets, made.__name__, made, raising=False)
    return tmp_path / "cache" / "bnnbench" / "data" / "torchvision"
