"""Tables that are larger than the memory."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from bnnbench_plugins.datasets import table_scaling

import bnnbench as bb


@pytest.mark.parametrize(("ending", "scaling"), [(".npy", "none"), (".npy", "columns"), (".npz", "none")])
def test_an_array_may_be_larger_than_the_memory(
    tmp_path: Path, ending: str, scaling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest amount of memory that is held while a sample of a file of 64 MB is loaded."""
    monkeypatch.setattr(table_scaling, "BLOCK", 2**20)
    rows = 40_000
    big = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (rows, 400))
    big[::1000] = np.random.default_rng(0).uniform(size=(rows // 1000, 400))
    labels = np.arange(rows) % 2
    files = {"path": str(tmp_path / "x.npy"), "label_path": str(tmp_path / "y.npy")}
    np.save(tmp_path / "y.npy", labels)
    if ending == ".npz":
        np.savez(tmp_path / "x.npz", x=big, label=labels)
        files = {"path": str(tmp_path / "x.npz")}
    del big
    dataset = bb.dataset("table", **files, scaling=scaling, test_fraction=0.5, train_size=20, test_size=10)
    dataset.load(0)
    tracemalloc.start()
    try:
        data = dataset.load(0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert data.shape == (400,)
    assert peak < 2**23
    if os.access("/proc/self/clear_refs", os.W_OK):
        # What is mapped counts as memory of the process where a task's limit is watched.
        monkeypatch.setattr(table_scaling, "SPAN", 2**22)
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # The peak is measured anew.
        dataset.load(0)
        assert _resident("VmHWM") - before < 2**25


def _resident(name: str) -> int:
    """A size of this process in bytes, as Linux counts it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])
