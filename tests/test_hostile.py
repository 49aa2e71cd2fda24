"""Files of strangers: configurations, artefacts and stores that were made to harm."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plugged import bnnbench, install
from test_report import outcome

import bnnbench as bb
from bnnbench.cli import display
from bnnbench.errors import BnnbenchError
from bnnbench.matrix import stored_outcome
from bnnbench.matrix.config import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.matrix.progress import Step
from bnnbench.matrix.results import Results
from bnnbench.matrix.schedule import Task
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
        FILE.replace("epsilons", f"seeds: [{', '.join(map(str, range(19_000)))}]\nepsilons").replace(
            "{sgd: {}}", "{sgd: {sweep: {epochs: [1, 2, 3, 4, 5, 6]}}}"
        ),
        FILE.replace(
            "{sgd: {}}",
            "{sgd: {sweep: {"
            + ", ".join(f"{name}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for name in "abcdefghijkl")
            + "}}}",
        ),
        FILE.replace(
            "{sgd: {}}",
            f"{{sgd: {{sweep: {{a: [], b: {list(range(5000))}, c: {list(range(5000))}}}}}}}",
        ),
    ],
    ids=["components and threats", "seeds", "sweeps", "sweeps, one of them empty"],
)
def test_a_million_cells_are_counted_before_they_are_made(tmp_path: Path, text: str) -> None:
    (tmp_path / "benchmarks.yaml").write_text(text)
    began = time.monotonic()
    done = bnnbench("plan", folder=tmp_path)
    assert time.monotonic() - began < 60  # A second where nothing else runs; to make them would take hours.
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
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=1)
    assert [row["posterior"] for row in results.rows()] == list(contents)
    for row in results.rows():
        assert row["status"] == "skipped", row
        assert f"{row['posterior']}.safetensors is not a safetensors file" in row["reason"]
    assert not list(tmp_path.rglob("sprung"))


def stored(folder: Path, record: dict[str, object], arrays: dict[str, np.ndarray] | None, **fit: object) -> Results:
    """A store in which somebody has put a cell and a fit of his own making, checksums and all."""
    (folder / "benchmarks.yaml").write_text(FILE)
    plan = make_plan(read_config(folder / "benchmarks.yaml"))
    store = Store(folder / "store")
    with store.held():
        store.write(FITS, plan.cells[0].fit.key, {"status": "ok", "reason": ""} | fit)
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


IN_ORDER = stored_outcome.arrays(outcome("1111100000"))
OK = {"status": "ok", "reason": "", "warnings": []} | stored_outcome.numbers(outcome("1111100000"))


def test_images_that_are_no_images_are_no_outcome() -> None:
    with pytest.raises(ValueError, match="inputs"):
        stored_outcome.restored(OK, IN_ORDER | {"inputs": np.float32(0)})


def test_an_outcome_in_order_is_found(tmp_path: Path) -> None:
    results = stored(tmp_path, OK, IN_ORDER)
    assert [row["robust_accuracy"] for row in results.rows()] == [0.5]
    assert stored_outcome.restorable(results.store, results.cells[0].spec.key, OK | in_store(results))


def in_store(results: Results) -> dict[str, Any]:
    """The record of the first cell."""
    record = results.store.record(CELLS, results.plan.cells[0].key)
    assert record is not None
    return record


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in sorted(IN_ORDER) if name != "zero_direction"),
        *({name: array[:3]} for name, array in sorted(IN_ORDER.items()) if name != "inputs"),
        *({name: array[None]} for name, array in sorted(IN_ORDER.items()) if name != "inputs"),
        {name: array[:0] for name, array in IN_ORDER.items()},
        {"inputs": np.zeros(11)},
        {"label": np.full(10, 2)},
        {"label": np.full(10, -1)},
        {"label": np.zeros(10)},
        {"index": np.zeros(10, np.complex64)},
        {"zero_gradient": np.full(10, np.nan)},
        {"zero_direction": np.zeros(10, np.complex64)},
        {"distance": np.zeros(10, np.complex64)},
        {"clean_log_probs": np.zeros((10, 0)), "attacked_log_probs": np.zeros((10, 0))},
        {"clean_log_probs": np.full((10, 2), np.nan)},
        {"attacked_log_probs": np.full((10, 2), -np.inf)},
        {"clean_log_probs": np.full((10, 2), 1e300), "attacked_log_probs": np.full((10, 2), 1e300)},
        {"attacked_log_probs": np.log(np.full((10, 3), 1 / 3))},
        {"attacked_log_probs": np.zeros((10, 2), np.complex64)},
        {"step.objective": np.zeros(10)},
        {"step.objective": np.zeros((3, 9))},
        {"draws": np.zeros(10)},
        {"stranger": np.zeros(10)},
    ],
    ids=lambda changes: " ".join(f"{name} {getattr(array, 'shape', '')}" for name, array in changes.items()),
)
def test_arrays_of_strangers_are_missing_with_a_reason(tmp_path: Path, changes: dict[str, np.ndarray | None]) -> None:
    arrays = {name: array for name, array in (IN_ORDER | changes).items() if array is not None}
    results = stored(tmp_path, OK, arrays)
    (row,) = results.rows()
    assert row["status"] == "missing"
    assert "not those of an outcome" in row["reason"]
    assert row["reason"].isprintable()
    assert not stored_outcome.restorable(results.store, row["cell"], in_store(results))
    for write in FORMATS.values():
        write(results)


@pytest.mark.parametrize("changes", [{"draws": "5"}, {"attack_draws": None}, {"stops_early": 1}, {"draws": 1.5}])
def test_numbers_of_strangers_are_missing_with_a_reason(tmp_path: Path, changes: dict[str, object]) -> None:
    (row,) = stored(tmp_path, OK | changes, IN_ORDER).rows()
    assert row["status"] == "missing"
    assert next(iter(changes)) in row["reason"]


def test_arrays_of_a_type_that_numpy_lacks_are_missing(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    results = stored(tmp_path, OK, IN_ORDER)
    key, halves = results.plan.cells[0].key, {"label": torch.zeros(3, dtype=torch.bfloat16)}
    with results.store.held():
        results.store.write(CELLS, key, OK, {ARRAYS: lambda path: save_file(halves, path)})
    assert results.rows()[0]["status"] == "missing"
    done = bnnbench("show", key, folder=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


@pytest.mark.parametrize("card", ["x", [], ["level"], 3, {}, {"why": "x"}, {"level": []}, {"level": EVIL, "why": EVIL}])
def test_cards_of_strangers_obey_nobody(tmp_path: Path, card: object) -> None:
    results = stored(tmp_path, OK, IN_ORDER, card=card)
    (row,) = results.rows()
    assert row["status"] == "ok"
    assert row["card"] is None or row["card"].isprintable()
    for write in FORMATS.values():
        write(results)


def test_reasons_of_cards_obey_nobody(tmp_path: Path) -> None:
    results = stored(tmp_path, OK, IN_ORDER, card={"level": "short", "why": EVIL})
    (warning,) = results.rows()[0]["warnings"]
    assert warning.startswith("posterior is short")
    assert warning.isprintable()
    done = bnnbench("report", folder=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "[bold]" in done.stdout


@pytest.mark.parametrize("kind", [display._Lines, display._Bars])
def test_notes_and_reasons_of_running_tasks_obey_nobody(
    tmp_path: Path, kind: type[display._Lines | display._Bars], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    plan = make_plan(read_config(tmp_path / "benchmarks.yaml"))
    (key, fit), shown = next(iter(plan.fits.items())), kind()
    shown.begin(plan, 1, 0)
    if isinstance(shown, display._Lines):
        shown.EVERY = 0.0
    for task in (key, EVIL):
        shown.step(Step(task, 1, 2, EVIL[:24] + "\n"))
    if isinstance(shown, display._Bars):
        assert all(row.fields["note"].isprintable() for row in shown._bars.tasks)
    shown.done(Task("fit", fit), "failed", 1.0, EVIL)
    shown.end(1.0)
    told = capsys.readouterr().err
    assert "alert(1)" in told
    assert "\x1b[31m" not in told
    assert "\u202e" not in told


EVIL_PLUGIN = f"""
from bnnbench import Attack, hookimpl
from pydantic import Field

class Evil(Attack):
    {EVIL!r}

    power: str = Field(default={EVIL!r}, description={EVIL!r})

@hookimpl
def bnnbench_register(registry):
    registry.attack("evil", Evil, help={EVIL!r})
"""


def test_texts_of_plugins_obey_nobody(tmp_path: Path) -> None:
    seen = install(tmp_path / "site", EVIL_PLUGIN)
    install(tmp_path / "site", f"raise RuntimeError({EVIL!r})", "broken")
    for words in (["plugins", "list"], ["plugins", "show", "evil"], ["plugins", "show", "evl"]):
        done = bnnbench(*words, folder=tmp_path, environment=seen)
        told = done.stdout + done.stderr
        assert "alert(1)" in told, words
        assert all(char.isprintable() or char == "\n" for char in told), words
        assert "Traceback" not in told


TWO_ATTACKS = FILE.replace("{fgsm: {}}", "{fgsm: {}, random: {use: random-sign}}").replace(
    "epsilons", "evaluate: {images: 20}\nepsilons"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A finished run of two attacks on 20 images."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "benchmarks.yaml").write_text(TWO_ATTACKS)
    return bb.run(folder / "benchmarks.yaml", store=folder / "store", jobs=1)


@pytest.fixture
def tampered(finished: Results, tmp_path: Path) -> Results:
    """The same, of which somebody has made the first attack on 10 images only."""
    shutil.copytree(finished.store.path.parent, tmp_path, dirs_exist_ok=True)
    results = Results(finished.plan, Store(tmp_path / "store"))
    key, record = results.cells[0].spec.key, in_store(results)
    fewer = {
        name: array if name == "inputs" else array[:, :10] if name.startswith("step.") else array[:10]
        for name, array in results.store.arrays(CELLS, key, record).items()
    }
    fewer["inputs"] = fewer["inputs"][:10]
    with results.store.held():
        results.store.write_arrays(CELLS, key, record, fewer)
    return Results(results.plan, Store(results.store.path))


def test_outcomes_about_other_images_are_not_put_together(tampered: Results) -> None:
    assert [row["status"] for row in tampered.rows()] == ["ok", "missing"]
    assert "other images" in tampered.rows()[1]["reason"]
    for write in FORMATS.values():
        write(tampered)


@pytest.mark.parametrize("environment", [{}, {"cpu": "of another kind"}])
def test_an_outcome_about_other_images_does_not_come_out_again(
    tampered: Results, tmp_path: Path, environment: dict[str, str]
) -> None:
    key, record = tampered.plan.cells[0].key, in_store(tampered)
    with tampered.store.held():
        arrays = tampered.store.arrays(CELLS, key, record)
        record["environment"] |= environment
        tampered.store.write_arrays(CELLS, key, record, arrays)
    done = bnnbench("run", "--verify", "1", folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "they are about other images or classes" in done.stderr


@pytest.mark.slow
def test_no_command_ends_in_a_traceback_on_arrays_that_do_not_agree(tampered: Results, tmp_path: Path) -> None:
    key, record = tampered.plan.cells[0].key, in_store(tampered)
    with tampered.store.held():
        arrays = tampered.store.arrays(CELLS, key, record)
        tampered.store.write_arrays(CELLS, key, record, arrays | {"label": arrays["label"][:3]})
    assert bnnbench("report", folder=tmp_path).returncode == 0
    done = bnnbench("show", key, folder=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "not those of an outcome" in done.stderr
    assert "Traceback" not in bnnbench("run", "--verify", "2", folder=tmp_path).stderr


def test_a_pickle_in_the_place_of_an_artefact_is_not_read(tmp_path: Path) -> None:
    results = stored(tmp_path, {"status": "ok", "reason": "", "warnings": []}, {"label": np.zeros(3)})
    (results.store.place(CELLS, results.cells[0].spec.key) / ARRAYS).write_bytes(pickle.dumps(Trap()))
    (row,) = Results(results.plan, Store(results.store.path)).rows()
    assert (row["status"], row["reason"]) == ("missing", "damaged in the store; the next run computes it again")
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
