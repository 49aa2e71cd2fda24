"""The verification at the end of a run: its pool, its progress, its copies, and the manifest of a run that it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from matrices import copied

import bnnbench as bb
from bnnbench.evidence.results import Results
from bnnbench.pool.inline import InlinePool
from bnnbench.running import manifest, repeat
from bnnbench.running import run as running
from bnnbench.running.observer import Silent
from bnnbench.running.repeat import _scratch_store, repeated
from bnnbench.running.task import Task
from bnnbench.store.store import DRAWS, FITS, Store

pytestmark = pytest.mark.integration
FIT = "ab" * 32


class Noting(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def note(self, text: str) -> None:
        self.told.append(text)

    def begin(self, plan: object, tasks: int, cached: int) -> None:
        self.told.append(("begin", tasks, cached))

    def done(self, task: Task, status: str, seconds: float, reason: str) -> None:
        self.told.append((task.name, status))

    def end(self, seconds: float) -> None:
        self.told.append("end")


def test_a_verification_keeps_the_lock_and_tells_its_progress(
    finished: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed run must not release its store before the workers of the verification are dead."""
    results, noting = copied(finished, tmp_path, "sgd", "random"), Noting()
    locks: list[object] = []

    def pool(plan: object, jobs: int | None, tasks: int, lock: int | None = None) -> InlinePool:
        locks.append(lock)
        return InlinePool()

    monkeypatch.setattr(repeat, "local_pool", pool)
    with results.store.held():
        checks = repeated(results, 9, 1, noting)
        assert locks == [results.store.lock]
        assert locks != [None]
    assert [check.right for check in checks] == [True, True]
    names = sorted(cell.spec.name for cell in results.cells)
    assert noting.told[:2] == ["verification: computing again 2 of 2 finished cells", ("begin", 2, 2)]
    assert sorted(noting.told[2:4]) == [(name, "ok") for name in names]  # type: ignore[type-var]
    assert noting.told[4:] == ["end"]


def test_without_finished_cells_nothing_is_begun(finished: Results, tmp_path: Path) -> None:
    noting = Noting()
    assert repeated(Results(finished.plan, Store(tmp_path / "empty")), 3, 0, noting) == []
    assert noting.told == []


@pytest.mark.parametrize("links", [True, False])
def test_draws_are_not_copied_where_the_file_system_has_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    store = Store(tmp_path / "store")
    with store.held():
        store.write(FITS, FIT, {"status": "ok"}, {DRAWS: lambda path: path.write_bytes(b"draws") and None})
        own = store.place(FITS, FIT) / DRAWS
        with _scratch_store(store, {FIT}) as other:
            assert (other.place(FITS, FIT) / DRAWS).samefile(own) is links
            assert other.verified_record(FITS, FIT) == store.record(FITS, FIT)
        assert own.read_bytes() == b"draws"
        assert own.stat().st_nlink == 1


def test_a_run_whose_verification_fails_has_ended(
    finished: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise bb.StoreError("on purpose")

    monkeypatch.setattr(running, "repeated", fail)
    results = copied(finished, tmp_path, "sgd", "random")
    before = set((results.store.path / "runs").iterdir())
    with pytest.raises(bb.StoreError, match="on purpose"):
        bb.run(finished.plan.config.path, store=results.store.path, only=["sgd", "random"], jobs=0, verify=1)
    (path,) = set((results.store.path / "runs").iterdir()) - before
    assert {one["status"] for one in manifest.read(path)["outcomes"]["cells"].values()} == {"ok"}


def test_the_manifest_of_a_verified_run_tells_what_the_verification_found(
    finished: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = copied(finished, tmp_path, "sgd", "random")
    before = set((results.store.path / "runs").iterdir())

    def invalidate(found: Results, *_: Any) -> list[Any]:
        cell = found.cells[0].spec
        found.store.write("cells", cell.key, {"status": "invalid", "reason": "on purpose", "identity": cell.identity})
        return []

    monkeypatch.setattr(running, "repeated", invalidate)
    bb.run(finished.plan.config.path, store=results.store.path, only=["sgd", "random"], jobs=0, verify=1)
    (path,) = set((results.store.path / "runs").iterdir()) - before
    statuses = {one["status"] for one in json.loads(path.read_text())["outcomes"]["cells"].values()}
    assert statuses == {"ok", "invalid"}
