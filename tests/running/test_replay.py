"""A run done again from its manifest."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from commands import called
from matrices import manifest_of

from bnnbench.errors import ConfigError, StoreError
from bnnbench.evidence.results import Results
from bnnbench.matrix.config_reader import read_config
from bnnbench.running.manifest import begun, ended, sealed
from bnnbench.running.replay import compared, planned
from bnnbench.store.store import CELLS, FITS, Store

pytestmark = pytest.mark.integration


def test_replay_says_what_differs(finished: Results, tmp_path: Path) -> None:
    told = json.loads(manifest_of(finished).read_text())
    told["environments"][0]["versions"]["torch"] = "1.0"
    key = finished.cells[0].spec.key
    told["outcomes"]["cells"][key]["artefacts"]["arrays.safetensors"] = "0" * 64
    told["outcomes"]["cells"][key]["robust_accuracy"] = 0.125
    told["only"] = ["sgd", "random"]
    (tmp_path / "told.json").write_text(json.dumps(sealed(told)))
    done = called("replay", "told.json", "-j", "0", folder=tmp_path)
    assert done.returncode == 1
    assert f"changed: environment.versions.torch: was 1.0, is {metadata.version('torch')}\n" in done.stdout
    assert done.stdout.count("changed: environment") == 1
    assert "differs: moons fc sgd random eps 0 seed 0: other bits (clean " in done.stdout
    assert "robust 12.50, now " in done.stdout
    assert done.stdout.splitlines()[-1] == "2 fits and cells have the same bits, 1 differ"


def test_outcomes_without_arrays_are_not_called_the_same_bits(finished: Results, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    fits, cells = list(finished.plan.fits), [cell.spec.key for cell in finished.cells]
    arrays = {"x": np.zeros(1)}
    with store.held():
        store.write(FITS, fits[0], {"status": "failed", "reason": "no luck"})
        store.write_arrays(FITS, fits[1], {"status": "ok"}, arrays)
        store.write_arrays(CELLS, cells[1], {"status": "ok"}, arrays)
        store.write(CELLS, cells[2], {"status": "skipped"})
    results = Results(finished.plan, store)
    told = ended(begun(finished.plan), results)
    same = compared(told, told, results)
    assert (same.same, same.without_arrays, same.differences) == (2, 8, [])
    with store.held():
        store.write(FITS, fits[0], {"status": "timeout", "reason": "slow"})
        store.write(CELLS, cells[0], {"status": "failed", "reason": "no luck"})
        store.remove(CELLS, cells[1])
    told["cells"].remove(cells[3])
    other = compared(told, told, Results(finished.plan, store))
    assert (other.same, other.without_arrays) == (1, 5)
    assert [line.partition(": ")[2] for line in other.differences] == [
        "was failed, is timeout: slow",
        "was missing, is failed: no luck",
        "was ok, is missing",
        "has another key now: its parameters, data or code have changed",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no manifest"),
        ("[]", "is no manifest"),
        ('{"schema": 1}', "does not have its own checksum"),
        ("[" * 100_000, "is no manif"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "told.json").write_text(text)
    with pytest.raises(StoreError, match=problem):
        planned(tmp_path / "told.json")


def test_a_replay_in_the_run_s_own_store_is_refused_and_goes_on_in_its_own(finished: Results, tmp_path: Path) -> None:
    told = manifest_of(finished)
    done = called("replay", str(told), "-j", "0", "--store", str(finished.store.path), folder=tmp_path)
    assert (done.returncode, "the store of another run" in done.stderr) == (2, True)
    short = {**json.loads(told.read_text()), "only": ["sgd", "random"]}
    (tmp_path / "told.json").write_text(json.dumps(sealed(short)))
    for tasks in (2, 0):
        done = called("replay", "told.json", "-j", "0", "--store", "own", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"{tasks} tasks to run" in done.stderr


def test_the_environments_of_outcomes_count_and_not_that_of_the_process_that_waits_for_them(
    finished: Results, tmp_path: Path
) -> None:
    """The process of a run has a description of kernels only if something has imported torch there."""
    told = json.loads(manifest_of(finished).read_text())
    same = {**told, "environment": {**told["environment"], "threads": 64}}
    same["environment"].pop("kernels", None)
    assert compared(same, told, finished).changes == []
    (environment,) = told["environments"]
    elsewhere = {**environment, "cpu": "another", "kernels": {**environment["kernels"], "gpu": "one"}}
    assert compared({**told, "environments": [elsewhere]}, told, finished).changes == [
        f"environment.cpu: was another, is {environment['cpu']}",
        "environment.kernels.gpu: was one, is None",
    ]
    bare = {name: value for name, value in environment.items() if name != "kernels"}
    assert compared({**told, "environments": [environment, bare]}, told, finished).changes == []
    both = compared({**told, "environments": [environment, elsewhere]}, told, finished).changes
    assert both[0] == f"environment.cpu: was {environment['cpu']} or another, is {environment['cpu']}"
    (gone, *_) = compared({**told, "environments": [bare]}, told, finished).changes
    assert gone.startswith("environment.kernels.")
    assert ": was absent, is " in gone
    assert compared({**told, "environments": []}, told, finished).changes == []


@pytest.mark.parametrize("name", [".writing-20240131T120000Z-abcdef.json.7-0123abcd", ".DS_Store"])
def test_a_replay_that_was_killed_while_it_wrote_its_manifest_goes_on(
    finished: Results, tmp_path: Path, name: str
) -> None:
    short = {**json.loads(manifest_of(finished).read_text()), "only": ["sgd", "random"]}
    (tmp_path / "told.json").write_text(json.dumps(sealed(short)))
    for tasks in (2, 0):
        done = called("replay", "told.json", "-j", "0", "--store", "own", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"{tasks} tasks to run" in done.stderr
        (tmp_path / "own" / "runs" / name).write_text("{")


def test_a_replay_has_no_limit_of_cells(finished: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run that it repeats may have been given a larger one."""
    monkeypatch.setattr("bnnbench.matrix.config_reader.read_config.__defaults__", (3, None))
    with pytest.raises(ConfigError, match="more than 3"):
        read_config(finished.plan.config.path)
    assert len(planned(manifest_of(finished))[1].cells) == len(finished.cells)
