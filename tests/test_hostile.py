"""Files of strangers: configurations, artefacts and stores that were made to harm."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from plugged import bnnbench

import bnnbench as bb
from bnnbench.errors import BnnbenchError
from bnnbench.matrix.config import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.matrix.results import Results
from bnnbench.matrix.store import ARRAYS, CELLS, DRAWS, FITS, Store
from bnnbench.report.formats import FORMATS

FILE = """\
epsilons: [0.1]
datasets: {half-moons: {}}
networks: {fc: {}}
posteriors: {sgd: {}}
attacks: {fgsm: {}}
"""
EVIL = "\x1b[31mred\x1b[0m [bold]\u202edesrever\x00 <script>alert(1)</script> | =cmd()"


@pytest.mark.parametrize(
    "text",
    [
        FILE.replace("{sgd: {}}", f"{{sgd: {{sweep: {{epochs: [{', '.join(map(str, range(1, 5000)))}]}}}}}}").replace(
            "[0.1]", f"[{', '.join(f'0.{number:05}' for number in range(1, 300))}]"
        ),
        FILE.replace("epsilons", f"seeds: [{', '.join(map(str, range(49_000)))}]\nepsilons").replace(
            "{sgd: {}}", "{sgd: {sweep: {epochs: [1, 2, 3]}}}"
        ),
        FILE.replace(
            "{sgd: {}}",
            "{sgd: {sweep: {"
            + ", ".join(f"{name}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for name in "abcdefghijkl")
            + "}}}",
        ),
    ],
    ids=["components and threats", "seeds", "sweeps"],
)
def test_a_million_cells_are_counted_before_they_are_made(tmp_path: Path, text: str) -> None:
    (tmp_path / "benchmarks.yaml").write_text(text)
    began = time.monotonic()
    done = bnnbench("plan", folder=tmp_path)
    assert time.monotonic() - began < 10
    assert done.returncode == 2
    assert "cells, more than 100000 (--max-cells)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("label", ["../../etc", "a/b", "nul\\0", "\\u202eabc", "\\e[31m", "-rf", "a b", "[bold]", ""])
def test_labels_are_plain(tmp_path: Path, label: str) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE.replace("sgd: {}", f'"{label}": {{use: sgd}}'))
    done = bnnbench("plan", folder=tmp_path)
    assert done.returncode == 2
    assert "does not match" in done.stderr
    assert all(char.isprintable() or char == "\n" for char in done.stderr)


def test_nothing_that_a_terminal_obeys_comes_from_a_file_name(tmp_path: Path) -> None:
    name = "\x1b[31mred.yaml"
    (tmp_path / name).write_text("{")
    done = bnnbench("run", name, folder=tmp_path)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr


def archive() -> bytes:
    """A zip archive that unfolds to a gigabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file, file.open("weight.npy", "w") as member:
        for _ in range(1024):
            member.write(bytes(2**20))
    return buffer.getvalue()


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch sprung",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Trap()),
        archive(),
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**31) + b"{" + b" " * 1000,
        struct.pack("<Q", 100)
        + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'
        + b" " * 23,
        struct.pack("<Q", 2) + b"[]",
        b"",
    ],
    ids=["pickle", "zip bomb", "giant header", "large header", "giant array", "no mapping", "nothing"],
)
def test_draws_of_strangers_are_refused_and_run_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "draws.safetensors").write_bytes(content)
    (tmp_path / "benchmarks.yaml").write_text(
        FILE.replace("{sgd: {}}", "{theirs: {use: saved, path: draws.safetensors}}")
    )
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=1)
    (row,) = results.rows()
    assert row["status"] == "skipped"
    assert "is not a safetensors file" in row["reason"]
    assert not list(tmp_path.rglob("sprung"))


def stored(folder: Path, record: dict[str, object], arrays: dict[str, np.ndarray] | None) -> Results:
    """A store in which somebody has put a cell of his own making, checksums and all."""
    (folder / "benchmarks.yaml").write_text(FILE)
    plan = make_plan(read_config(folder / "benchmarks.yaml"))
    store = Store(folder / "store")
    with store.held():
        if arrays is None:
            store.write(CELLS, plan.cells[0].key, record)
        else:
            store.write_arrays(CELLS, plan.cells[0].key, record, arrays)
    return Results(plan, store)


def test_reasons_of_strangers_obey_nobody(tmp_path: Path) -> None:
    results = stored(tmp_path, {"status": "failed", "reason": EVIL, "warnings": []}, None)
    assert results.cells[0].reason.isprintable()
    for form, write in FORMATS.items():
        text = write(results)
        assert "\x1b" not in text, form
        assert "\u202e" not in text, form
    done = bnnbench("report", folder=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "[bold]" in done.stdout


@pytest.mark.parametrize(
    "record",
    [
        {"status": "ok", "reason": "", "warnings": []},
        {"status": "splendid", "reason": "", "warnings": []},
        {"status": "ok", "reason": 3, "warnings": []},
        {"status": "ok", "reason": "", "warnings": {}},
        {"reason": ""},
    ],
)
@pytest.mark.parametrize("arrays", [None, {}, {"label": np.zeros(3)}])
def test_records_of_strangers_end_in_no_traceback(
    tmp_path: Path, record: dict[str, object], arrays: dict[str, np.ndarray] | None
) -> None:
    results = stored(tmp_path, record, arrays)
    assert [row["status"] for row in results.rows()] == ["missing"]


def test_a_pickle_in_the_place_of_an_artefact_is_not_read(tmp_path: Path) -> None:
    results = stored(tmp_path, {"status": "ok", "reason": "", "warnings": []}, {"label": np.zeros(3)})
    (results.store.place(CELLS, results.cells[0].spec.key) / ARRAYS).write_bytes(pickle.dumps(Trap()))
    assert Results(results.plan, Store(results.store.path)).rows()[0]["status"] == "missing"
    assert not list(tmp_path.rglob("sprung"))


def test_a_fifo_in_the_place_of_a_record_does_not_block(tmp_path: Path) -> None:
    results = stored(tmp_path, {"status": "failed", "reason": "x", "warnings": []}, None)
    path = results.store.place(CELLS, results.cells[0].spec.key) / "record.json"
    path.unlink()
    os.mkfifo(path)
    assert Results(results.plan, Store(results.store.path)).rows()[0]["status"] == "missing"


def test_half_a_download_is_damaged_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images", "t10k-images"):
        (raw / f"{name}-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03" + struct.pack(">3I", 60000, 28, 28))
    for name in ("train-labels", "t10k-labels"):
        (raw / f"{name}-idx1-ubyte").write_bytes(b"\x00\x00\x08\x01" + struct.pack(">I", 60000))
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    with pytest.raises(bb.DataError, match="is damaged or another file"):
        bb.dataset("mnist").load(seed=0)


def test_a_fit_of_a_stranger_is_not_attacked(tmp_path: Path) -> None:
    """Draws with right checksums that are no draws: the attack fails with a reason."""
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    plan = make_plan(read_config(tmp_path / "benchmarks.yaml"))
    store = Store(tmp_path / "store")
    with store.held():
        key = next(iter(plan.fits))
        store.write(FITS, key, {"status": "ok", "reason": ""}, {DRAWS: lambda path: path.write_bytes(b"x") and None})
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=1)
    (row,) = results.rows()
    assert row["status"] == "failed"
    assert "does not hold draws written by bnnbench" in row["reason"]
    assert bnnbench("plan", folder=tmp_path).returncode == 0


def test_every_refusal_is_one_of_ours(tmp_path: Path) -> None:
    for content in (
        b"\x80",
        b"\xff\xfe",
        b"{" * 10_000,
        b"a: " * 5_000,
        b"- " * 3_000,
        json.dumps([[]] * 60_000).encode(),
    ):
        (tmp_path / "benchmarks.yaml").write_bytes(content)
        with pytest.raises(BnnbenchError):
            read_config(tmp_path / "benchmarks.yaml")
