"""Arguments of a run that mean nothing are refused before anything is read or written."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from matrices import ONE_FIT

import bnnbench as bb


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"jobs": -1}, ValueError, "jobs is at least 0, not -1"),
        ({"jobs": 1.5}, TypeError, "jobs is an integer, not "),
        ({"jobs": "2"}, TypeError, "jobs is an integer, not "),
        ({"jobs": True}, TypeError, "jobs is an integer, not "),
        ({"verify": -1}, ValueError, "verify is at least 0, not -1"),
        ({"verify": None}, TypeError, "verify is an integer, not "),
        ({"max_cells": 0}, ValueError, "max_cells is at least 1, not 0"),
        ({"dask": "localhost:abc"}, bb.ConfigError, "--dask 'localhost:abc' is no address of a Dask scheduler"),
        ({"fresh": "no"}, TypeError, "fresh is True or False, not 'no'"),
        ({"progress": "yes"}, TypeError, "progress is True or False, not 'yes'"),
        ({"job": 2}, TypeError, "run has no argument 'job'; did you mean 'jobs'"),
        ({"only": 5}, TypeError, "only is words, such as "),
        ({"only": [0.1]}, TypeError, "each of only is a label or a radius as text, not "),
        ({"dask": ""}, bb.ConfigError, "--dask '' is no address of a Dask scheduler"),
    ],
)
def test_an_argument_that_means_nothing_is_refused(
    tmp_path: Path, arguments: dict[str, Any], error: type[Exception], told: str
) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    with pytest.raises(error, match=told):
        bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", **arguments)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("function", [bb.run, bb.results])
def test_what_is_no_path_is_refused(function: Any, tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    with pytest.raises(TypeError, match=r"^path is the path of a benchmarks file, not None$"):
        function(None)
    with pytest.raises(TypeError, match=r"^store is the path of a store, not None$"):
        function(tmp_path / "benchmarks.yaml", store=None)


@pytest.mark.integration
def test_one_label_may_be_a_text(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0, only="fgsm")
    assert [row["attack"] for row in results.rows()] == ["fgsm"]
    again = bb.results(tmp_path / "benchmarks.yaml", tmp_path / "store", only="fgsm")
    assert again.rows() == results.rows()
    with pytest.raises(bb.ConfigError, match="--only fgms: "):
        bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0, only="fgms")


@pytest.mark.integration
def test_nothing_is_deleted_for_a_cluster_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(address: str) -> None:
        raise bb.ClusterLost(f"no Dask scheduler answers at {address}")

    monkeypatch.setattr("bnnbench.running.run.check_scheduler", lost)
    (tmp_path / "benchmarks.yaml").write_text(ONE_FIT)
    run = functools.partial(bb.run, tmp_path / "benchmarks.yaml", store=tmp_path / "store", only="fgsm")
    assert run(jobs=0).complete
    with pytest.raises(bb.ClusterLost, match="no Dask scheduler answers"):
        run(dask="localhost:1", fresh=True)
    assert run(dask="localhost:1").complete
