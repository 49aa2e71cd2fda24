"""One finished run, made once for all tests of this folder, which must leave it as it is."""

from __future__ import annotations

import pytest
from matrices import SMALL

import bnnbench as bb
from bnnbench.evidence.results import Results


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A run of `SMALL` in this process, two cells of it verified."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "benchmarks.yaml").write_text(SMALL, encoding="utf-8")
    return bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=0, verify=2)
