"""The fault suite at a small size; `python tests/faults` runs all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import configs, damage, disk, kills, order, planted, stops

import bnnbench as bb


@pytest.mark.parametrize("fault", ["kill", "ENOSPC", "EIO", "power", "resume"])
def test_no_fault_of_the_disk_loses_or_forges_anything(tmp_path: Path, fault: str) -> None:
    found = disk.sweep(tmp_path, fault)
    assert found.trials > 50
    assert found.wrong == []


@pytest.mark.parametrize("bug", planted.PLANTED)
def test_a_planted_bug_is_caught(tmp_path: Path, bug: str) -> None:
    plant, fault = planted.PLANTED[bug]
    assert disk.sweep(tmp_path, fault, plant, enough=1).wrong


def test_a_lock_ends_with_its_process_and_a_planted_one_that_does_not_is_caught(tmp_path: Path) -> None:
    assert not planted.lock_survives(tmp_path / "good")
    assert planted.lock_survives(tmp_path / "bad", planted.stale_lock)


def test_no_order_changes_an_outcome_and_planted_seeds_by_position_do(tmp_path: Path) -> None:
    assert order.different(tmp_path, 2) == 0
    (tmp_path / "planted").mkdir()
    assert order.different(tmp_path / "planted", 2, order.SeedsByPosition) == 2


@pytest.mark.slow
def test_killed_runs_end_as_undisturbed_ones_do(tmp_path: Path) -> None:
    found = kills.campaign(tmp_path, 4, seeds=1)
    assert found.kills >= 4
    assert (found.recomputed, found.orphans, found.different) == (0, 0, 0), found


@pytest.mark.slow
def test_stopped_runs_end_in_time_and_go_on(tmp_path: Path) -> None:
    found = stops.campaign(tmp_path, 2)
    assert found.stops >= 2
    assert found.wrong == []


def test_no_damaged_file_is_believed(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(order.FILE)
    found = damage.campaign(bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0), tmp_path, 400)
    assert sum(found.tried.values()) >= 400
    assert found.believed == []


def test_planted_unverified_artefacts_are_caught(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(order.FILE)
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    with planted.unverified_artefacts():
        assert damage.flipped_bits(results, tmp_path, 40).believed


def test_every_configuration_is_planned_or_refused(tmp_path: Path) -> None:
    found = configs.campaign(tmp_path, 300)
    assert found.files == 300
    assert found.wrong == []
