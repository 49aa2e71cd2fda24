"""The manifest of a run that has ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matrices import SMALL, copied, manifest_of

import bnnbench as bb
from bnnbench.evidence.results import Results

pytestmark = pytest.mark.integration


def test_the_manifest_says_with_what_and_holds_no_secret(
    finished: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads(manifest_of(finished).read_text())
    assert told["text"] == SMALL
    assert told["distributions"]["torch"] == told["environment"]["versions"]["torch"]
    assert told["components"]["posteriors.hmc"]["distribution"] == "bnnbench"
    assert len(told["components"]["attacks.pgd"]["sha256"]) == 64
    assert {one["status"] for one in told["outcomes"]["cells"].values()} == {"ok"}
    assert len(told["outcomes"]["fits"]) == 2
    assert told["environments"][0]["kernels"]["torch"]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    again = bb.run(finished.plan.config.path, store=copied(finished, tmp_path).store.path, jobs=0)
    manifests = list((again.store.path / "runs").iterdir())
    assert len(manifests) == 2
    assert all("hunter2" not in path.read_text() for path in manifests)
