"""Draws and fits of strangers."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

from commands import called
from strangers import FILE, Trap

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.store.store import DRAWS, FITS, Store


def archive() -> bytes:
    """A zip archive that unfolds to a gigabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file, file.open("weight.npy", "w") as member:
        for _ in range(1024):
            member.write(bytes(2**20))
    return buffer.getvalue()


def test_draws_of_strangers_are_refused_and_run_nothing(tmp_path: Path) -> None:
    contents = {
        "pickle": pickle.dumps(Trap()),
        "zip-bomb": archive(),
        "giant-header": struct.pack("<Q", 2**63) + b"{}",
        "large-header": struct.pack("<Q", 2**31) + b"{" + b" " * 1000,
        "giant-array": struct.pack("<Q", 100)
        + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'
        + b" " * 23,
        "no-mapping": struct.pack("<Q", 2) + b"[]",
        "nothing": b"",
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    posteriors = ", ".join(f"{name}: {{use: saved, path: {name}.safetensors}}" for name in contents)
    (tmp_path / "benchmarks.yaml").write_text(FILE.replace("{sgd: {}}", f"{{{posteriors}}}"))
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    assert [row["posterior"] for row in results.rows()] == list(contents)
    for row in results.rows():
        assert row["status"] == "skipped", row
        assert f"{row['posterior']}.safetensors is not a safetensors file" in row["reason"]
    assert not list(tmp_path.rglob("sprung"))


def test_a_fit_of_a_stranger_is_not_attacked(tmp_path: Path) -> None:
    """Draws with right checksums that are no draws: the attack fails with a reason."""
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    plan = make_plan(read_config(tmp_path / "benchmarks.yaml"))
    store = Store(tmp_path / "store")
    with store.held():
        key = next(iter(plan.fits))
        store.write(FITS, key, {"status": "ok", "reason": ""}, {DRAWS: lambda path: path.write_bytes(b"x") and None})
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    (row,) = results.rows()
    assert row["status"] == "failed"
    assert "does not hold draws written by bnnbench" in row["reason"]
    assert called("plan", folder=tmp_path).returncode == 0
