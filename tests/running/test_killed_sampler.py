"""A run that is killed in the middle of a Hamiltonian chain goes on to the bits of one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import called
from light import written

from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.store.store import FITS, STATES, Store

FILE = """\
epsilons: [0.05]
evaluate: {images: 20, draws: 4}
limits: {save: 0.05s}
datasets: {points: {use: 'light.py:Points'}}
networks: {fc: {hidden: [4]}}
posteriors: {chain: {use: SAMPLER, draws: DRAWS, warmup: 30, leapfrog_steps: 20}}
attacks: {random: {use: random-sign}}
"""


@pytest.mark.integration
@pytest.mark.parametrize("sampler", ["pyro-hmc", pytest.param("numpyro-hmc", marks=pytest.mark.slow)])
def test_a_chain_that_was_killed_goes_on_to_the_same_bits(sampler: str, tmp_path: Path) -> None:
    draws = {"pyro-hmc": "150", "numpyro-hmc": "4000"}[sampler]
    file = written(tmp_path, FILE.replace("SAMPLER", sampler).replace("DRAWS", draws))
    store = Store(tmp_path / "store")
    command = [sys.executable, "-m", "bnnbench", "run", "-j", "0"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(lambda: _kept(store) >= 20, running)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    kept = _kept(store)
    assert 20 <= kept < int(draws), "the chain was killed in its middle"
    assert list(store.keys(FITS)) == []

    for name in ("store", "whole"):
        done = called("run", "-j", "0", "--store", name, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    (key,) = make_plan(read_config(file)).fits
    broken, whole = (_draws(tmp_path / name, key) for name in ("store", "whole"))
    for name, array in whole.items():
        assert np.array_equal(array, broken[name]), name


def _kept(store: Store) -> int:
    """The number of draws in the last state of the chain."""
    records = [store.record(STATES, key) for key in store.keys(STATES) if key.endswith(("-0-0", "-0-1"))]
    return max((int(record["draws"]) for record in records if record), default=0)


def _draws(path: Path, key: str) -> dict[str, np.ndarray]:
    record = Store(path).record(FITS, key)
    assert record is not None
    return Store(path).draws(FITS, key, record).arrays


def _wait_for(condition: object, running: subprocess.Popen[bytes]) -> None:
    """Wait until a condition holds, at most two minutes; fail if the process ends first."""
    end = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert running.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < end, os.listdir(".")
        time.sleep(0.02)
