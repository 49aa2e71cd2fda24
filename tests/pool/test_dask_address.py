"""Addresses of Dask schedulers: what is none is refused before anything is asked."""

from __future__ import annotations

import socket
import sys
import time

import pytest

from bnnbench.errors import ClusterLost, ConfigError
from bnnbench.pool import dask_address
from bnnbench.pool.dask_address import check_address, check_scheduler

pytest.importorskip("distributed")


@pytest.mark.parametrize(
    "address",
    [
        "tcp://localhost:8786",
        "localhost:8786",
        "tcp://[::1]:8786",
        "tls://one.example.org:8786",
        "ws://one:80",
        "inproc://1.2.3.4/1/2",
    ],
)
def test_an_address_is_accepted(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "write HOST:PORT"),
        ("tcp://", "write HOST:PORT"),
        ("tcp://host", "write HOST:PORT"),
        ("scheduler.json", "write HOST:PORT"),
        ("localhost:abc", "write HOST:PORT"),
        ("tcp://:8786", "write HOST:PORT"),
        ("tcp://host:0", "write HOST:PORT"),
        ("tcp://host:-1", "write HOST:PORT"),
        ("tcp://host:65536", "write HOST:PORT"),
        ("tcp://a b:8786", "write HOST:PORT"),
        ("tcp://host:8786 ", "write HOST:PORT"),
        ("tcp://host:8786/status", "write HOST:PORT"),
        ("::1:8786", "write HOST:PORT"),
        ("tcp:/host:8786", "write HOST:PORT"),
        ("http://x:1", "Dask has no such protocol (there are "),
        ("tcp://tcp://host:1", "Dask has no such protocol (there are "),
        (8786, "it is no text"),
        ("ho\x1b[31mst", "write HOST:PORT"),
    ],
)
def test_what_is_no_address_is_refused_on_one_line(address: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_address(address)
    (line,) = caught.value.problems
    assert line.startswith(f"bnnbench: --dask {address!r} is no address of a Dask scheduler: {reason}")
    assert line.isprintable()


def test_without_dask_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed.comm.addressing", None)
    with pytest.raises(ClusterLost, match=r"pip install 'bnnbench\[distributed\]'"):
        check_address("tcp://localhost:8786")


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_address, "CONNECT_SECONDS", 0.3)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address, began = f"tcp://127.0.0.1:{server.getsockname()[1]}", time.monotonic()
        with pytest.raises(ClusterLost, match=f"no Dask scheduler answers at {address}$"):
            check_scheduler(address)
    assert time.monotonic() - began < 5


def test_what_dask_lacks_for_a_protocol_is_told() -> None:
    with pytest.raises(ClusterLost, match=r"no Dask scheduler answers at tls://127\.0\.0\.1:1: TLS expects"):
        check_scheduler("tls://127.0.0.1:1")
