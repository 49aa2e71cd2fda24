"""The address of a Dask scheduler: whether a text is an address, and whether a scheduler answers there."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from bnnbench.errors import ClusterLost, ConfigError, one_line

CONNECT_SECONDS = 10.0
"""The time limit for a scheduler to answer."""


def check_address(address: str) -> None:
    """Raise `ConfigError` if a text is no address of a scheduler; nothing is asked of any computer.

    Raises `ClusterLost` if Dask is not installed.
    """
    try:
        from distributed.comm.addressing import parse_address
        from distributed.comm.registry import backends, get_backend
    except ImportError as error:
        raise ClusterLost("--dask needs Dask: pip install 'bnnbench[distributed]'") from error
    refused = f"bnnbench: --dask {one_line(repr(address), 200)} is no address of a Dask scheduler"
    try:
        protocol, place = parse_address(address)
        backend = get_backend(protocol)
    except TypeError as error:
        raise ConfigError([f"{refused}: it is no text"]) from error
    except (ValueError, ImportError) as error:
        known = ", ".join(sorted(backends))
        raise ConfigError([f"{refused}: Dask has no such protocol (there are {known})"]) from error
    try:
        host, port = backend.get_address_host_port(place)
    except NotImplementedError:
        return  # A protocol without hosts, such as `inproc`.
    except ValueError:
        host, port = "", 0
    if not host or not 0 < port < 2**16 or any(char.isspace() for char in address):
        raise ConfigError([f"{refused}: write HOST:PORT, such as tcp://localhost:8786"])


def check_scheduler(address: str) -> None:
    """Raise `ClusterLost` unless a scheduler answers at an address within `CONNECT_SECONDS`.

    A client of Dask's would wait for ever if something else listens there, and cannot be closed after some errors.
    """
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(asyncio.run(asyncio.wait_for(_identity(address), CONNECT_SECONDS)))
        except Exception as error:  # noqa: BLE001 - what answers may be anything, and so are the errors
            found.append(error)

    # In a thread, because a notebook has a running event loop in this one.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(CONNECT_SECONDS + 1)
    answer = found[0] if found else TimeoutError()
    if isinstance(answer, dict) and answer.get("type") == "Scheduler":
        return
    reason = ""
    if isinstance(answer, dict):
        reason = f": it is the address of a {one_line(str(answer.get('type'))).lower()}"
    elif isinstance(answer, TypeError | ValueError | ImportError):  # Of Dask, about its configuration.
        reason = f": {one_line(str(answer), 200)}"
    raise ClusterLost(f"no Dask scheduler answers at {address}{reason}")


async def _identity(address: str) -> Any:
    """What the server at an address says of itself."""
    from distributed.core import rpc
    from distributed.security import Security

    arguments = Security().get_connection_args("client")
    async with rpc(address, timeout=CONNECT_SECONDS, connection_args=arguments) as server:
        return await server.identity()
