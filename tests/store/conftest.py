"""A store that is held, with one cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bnnbench.store.store import Store

KEY = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    transposed = np.arange(12, dtype="f4").reshape(3, 4).T
    with store.held():
        store.write_arrays(
            "cells", KEY, {"status": "ok", "number": 0.1}, {"a": transposed, "b": np.array([True, False])}
        )
        yield store
