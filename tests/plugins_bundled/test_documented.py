"""Every bundled data set and network has an entry in the documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnnbench.plugins.loading import load_registry

DOCUMENT = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.mark.parametrize("kind", ["dataset", "network"])
def test_every_bundled_data_set_and_network_is_described(kind: str) -> None:
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    described = {name for line in lines for name in line.split("|")[1].replace("`", "").replace(",", " ").split()}
    bundled = {
        entry.name for entry in load_registry().entries if entry.distribution == "bnnbench" and entry.kind == kind
    }
    assert bundled <= described
