"""What holds for every test: one thread, as in a worker, one seed, no wait for the disk, and a tier.

A test is in the tier `unit` if it lies in a folder that mirrors the source, and is marked neither `slow` nor
`integration`. Tests in the other folders run commands, processes and clusters, or break disks.
"""

from __future__ import annotations

import multiprocessing.util
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

# A busy machine makes examples slowly. That is no fault of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

OTHER_TIERS = ("slow", "integration")
NO_UNITS = ("end_to_end", "faults", "gpu", "security")
"""Folders that mirror no part of the source."""
SEED = 1789
"""The seed of each test; no test uses it itself."""
ASKED = ("git", "ldconfig", "lscpu", "uname")
"""Programs that manifests ask, and libraries when they are imported."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test of the tier `unit`."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        if folder not in NO_UNITS and not any(item.get_closest_marker(tier) for tier in OTHER_TIERS):
            item.add_marker("unit")


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """This process does not wait for the disk: no test cuts the power, and `faults` models what that would leave.

    Processes that tests start do wait.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: os.fstat(descriptor) and None)  # A closed one is still an error.
        yield


@pytest.fixture(autouse=True)
def _numbers_are_the_same_in_every_order() -> None:
    """A test draws the same random numbers, whichever tests ran before it in its process."""
    random.seed(SEED)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(SEED)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(SEED)


@pytest.fixture(autouse=True)
def _units_stay_in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the tier `unit` starts no process but those of `ASKED`, and asks no other computer."""
    if request.node.get_closest_marker("unit") is None:
        return
    start = subprocess.Popen.__init__

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a unit test starts no process and asks no other computer: mark it `integration`")

    def only_asked(self: Any, command: Any, *arguments: Any, **options: Any) -> None:
        (start if Path(command[0]).name in ASKED else refuse)(self, command, *arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", only_asked)
    monkeypatch.setattr(multiprocessing.util, "spawnv_passfds", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)
