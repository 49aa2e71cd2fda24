"""Fits as files for others: what comes out of another store is what went in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import called
from light import ONE_FIT, written

import bnnbench as bb
from bnnbench.core.draws_file import read_draws, write_draws
from bnnbench.errors import StoreError
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.store.checks import LARGEST_RECORD
from bnnbench.store.packing import SUM, pack, sum_of_draws, unpack
from bnnbench.store.records import Ending, record_of_fit, record_of_part
from bnnbench.store.store import CHAINS, DRAWS, FITS, STATES, Store


def fitted(folder: Path) -> tuple[Plan, Store, Path]:
    """A plan of one fit, a store that has it, and the file that it was packed in."""
    plan, store = make_plan(read_config(written(folder, ONE_FIT))), Store(folder / "store")
    (fit,) = plan.fits.values()
    draws = fit.posterior.fit(fit.network.build(fit.dataset.load(0)), fit.dataset.load(0), seed=0)
    record = record_of_fit(fit, Ending("ok", seconds=1.5), card={"level": "single", "why": "one draw"})
    with store.held():
        store.write(FITS, fit.key, record, {DRAWS: lambda path: write_draws(path, draws)})
    pack(store, fit, folder / "packed" / "fit.safetensors")
    return plan, store, folder / "packed" / "fit.safetensors"


def repacked(path: Path, **changes: Any) -> Path:
    """A packed file with a changed record."""
    draws, header = read_draws(path)
    other = path.with_name("changed.safetensors")
    write_draws(other, draws, {**header, "fit": {**header["fit"], **changes}})
    return other


def test_a_fit_is_the_same_in_another_store(tmp_path: Path) -> None:
    plan, store, path = fitted(tmp_path)
    ((key, _),) = plan.fits.items()
    other = Store(tmp_path / "other")
    with other.held():
        assert unpack(path, other) == (key, False)
        assert unpack(path, other) == (key, True)
    before, after = store.record(FITS, key), other.record(FITS, key)
    assert before is not None
    assert after is not None
    assert {**before, "sha256": "", "artefacts": {}} == {**after, "sha256": "", "artefacts": {}}
    old, new = store.draws(FITS, key, before), other.draws(FITS, key, after)
    assert old.arrays.keys() == new.arrays.keys()
    assert all(np.array_equal(array, new.arrays[name]) for name, array in old.arrays.items())


def test_a_packed_fit_is_a_predictive(tmp_path: Path) -> None:
    """Without the network's class, of a registered network."""
    plan, _, path = fitted(tmp_path)
    (fit,) = plan.fits.values()
    data = fit.dataset.load(0)
    expected = bb.fit(fit.posterior, fit.network.build(data), data, seed=0).log_probs(data.test[0])
    assert np.array_equal(bb.load(path).log_probs(data.test[0]), expected)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "failed"}, "not that of a finished fit"),
        ({"kind": "cell"}, "not that of a finished fit"),
        ({"card": None}, "not that of a finished fit"),
        ({"identity": {}}, "not that of a finished fit"),
        ({"identity": 3}, "record of a fit is wrong"),
        ({"seconds": -1.0}, "record of a fit is wrong"),
        ({"card": {}}, "not that of a finished fit"),
        ({"card": {"level": ["single"], "why": ""}}, "not that of a finished fit"),
        ({"card": {"level": "single", "why": "", "rhat": float("nan")}}, "record of a fit is wrong"),
        ({"more": "x" * (LARGEST_RECORD // 2)}, "too large"),
    ],
)
def test_a_file_that_is_no_finished_fit_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    _, _, path = fitted(tmp_path)
    other = Store(tmp_path / "other")
    with other.held(), pytest.raises(StoreError, match=reason):
        unpack(repacked(path, **changes), other)
    assert list((tmp_path / "other" / FITS).iterdir()) == []


@pytest.mark.parametrize("where", ["arrays", "shared"])
def test_draws_that_were_changed_are_refused(tmp_path: Path, where: str) -> None:
    _, _, path = fitted(tmp_path)
    draws, header = read_draws(path)
    arrays = getattr(draws, where)
    if where == "shared":
        arrays["more"] = np.ones(1)
    else:
        arrays[min(arrays)].flat[0] += 1
    write_draws(path, draws, header)
    with Store(tmp_path / "other").held(), pytest.raises(StoreError, match="do not have their checksum"):
        unpack(path, Store(tmp_path / "other"))


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    _, _, path = fitted(tmp_path)
    draws, header = read_draws(path)
    write_draws(path, draws, {**header, "format": 2})
    with Store(tmp_path / "other").held(), pytest.raises(StoreError, match="is of format 2"):
        unpack(path, Store(tmp_path / "other"))
    with pytest.raises(StoreError, match="is of format 2"):
        bb.load(path)


def test_parts_of_the_fit_that_were_begun_here_are_removed(tmp_path: Path) -> None:
    """They are other chains than those of the file, and a longer fit would go on from their states."""
    plan, _, path = fitted(tmp_path)
    ((key, fit),) = plan.fits.items()
    other, own = Store(tmp_path / "other"), "0" * 64
    with other.held():
        for kind, part in ((STATES, f"{key}-0-1"), (CHAINS, f"{key}-0"), (STATES, f"{own}-0-1")):
            other.write(kind, part, record_of_part(fit, 0, Ending("ok")))
        unpack(path, other)
    assert (list(other.keys(STATES)), list(other.keys(CHAINS))) == ([f"{own}-0-1"], [])


def test_draws_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    _, _, path = fitted(tmp_path)
    draws, header = read_draws(path)
    first = next(iter(draws.arrays))
    draws.arrays[first] = np.full_like(draws.arrays[first], np.nan)
    write_draws(path, draws, {**header, SUM: sum_of_draws(draws)})
    other = Store(tmp_path / "other")
    with other.held(), pytest.raises(StoreError, match="not finite"):
        unpack(path, other)


def test_draws_without_a_record_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "draws.safetensors"
    write_draws(path, bb.Draws({"w": np.zeros((1, 2, 3))}))
    with Store(tmp_path / "other").held(), pytest.raises(StoreError, match="not the record of a fit"):
        unpack(path, Store(tmp_path / "other"))


@pytest.mark.integration
def test_the_commands(tmp_path: Path) -> None:
    """A run in another store, with the packed fit, fits nothing and has the same outcomes."""
    written(tmp_path, ONE_FIT)
    done = called("draws", "pack", folder=tmp_path)
    assert done.returncode == 1
    assert "fixed on points (fc): not in the store" in done.stdout
    assert called("run", "-j", "0", folder=tmp_path).returncode == 0
    done = called("draws", "pack", "--to", "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "out").iterdir()
    assert file.name.startswith("points-fc-fixed-")
    done = called("draws", "load", f"out/{file.name}", "--store", "other", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = called("run", "-j", "0", "--store", "other", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "kept from the store: 1 fit and 0 cells" in done.stderr
    first, second = (
        json.loads(called("report", "--format", "json", "--store", name, folder=tmp_path).stdout)
        for name in ("store", "other")
    )
    assert first == second


@pytest.mark.integration
def test_a_wrong_file_is_one_line_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "nothing.safetensors").write_text("no draws")
    done = called("draws", "load", "nothing.safetensors", "absent.safetensors", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "nothing.safetensors does not hold draws" in done.stderr
