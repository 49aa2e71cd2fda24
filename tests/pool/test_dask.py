"""The side of the run of a cluster: its client, and the records that come back."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bnnbench.errors import ClusterLost
from bnnbench.pool import dask
from bnnbench.pool.dask import DaskPool
from bnnbench.store.store import CHAINS, FITS, Store

pytest.importorskip("distributed")
FIT = "aa" * 32


class Client:
    """Stands for a client of Dask; `error` is raised when workers are counted."""

    status = "running"

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.closed = error, False
        self.scheduler = SimpleNamespace(ncores=None)

    def get_executor(self, pure: bool) -> None:
        """Give nothing: no job is sent."""

    def sync(self, function: object, callback_timeout: float) -> dict[str, int]:
        if self.error is not None:
            raise self.error
        return {"tcp://one:1": 3}

    def close(self, timeout: float) -> None:
        self.closed = True


def pool_of(client: Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> DaskPool:
    monkeypatch.setattr(dask, "_connected", lambda address: client)
    return DaskPool("tcp://one:8786", store, memory=2**30, say=lambda text: None)


@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError(), ValueError("odd")])
def test_a_client_whose_scheduler_cannot_count_its_workers_is_closed(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(error)
    with pytest.raises((ClusterLost, ValueError)):
        pool_of(client, Store(tmp_path), monkeypatch)
    assert client.closed


def test_records_that_a_job_has_written_and_removed_are_written_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = Store(tmp_path / "store"), Store(tmp_path / "other")
    chains = [f"{FIT}-{number}" for number in range(2)]
    with store.held(), other.held():
        for chain in chains:
            store.write(CHAINS, chain, {"status": "ok"})
        other.write(FITS, FIT, {"status": "ok"})
        changed: dict[Any, Any] = {(FITS, FIT): other.contents(FITS, FIT), (CHAINS, chains[0]): {}}
        pool, sent = pool_of(Client(), store, monkeypatch), Future[Any]()
        sent.set_result(("ok", changed))
        future = Future[str]()
        pool._finished.put((future, sent))
        pool.watch()
        assert future.result() == "ok"
        assert (list(store.keys(FITS)), list(store.keys(CHAINS))) == ([FIT], chains[1:])
        assert pool.capacity == 6
