"""What is found out about networks and devices before anything is fitted."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path
from typing import Self

import pytest

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.pool.failures import TimeExceeded, WorkerDied
from bnnbench.pool.inline import InlinePool
from bnnbench.pool.job import Job, Setting
from bnnbench.running import preflight
from bnnbench.running.pools import setting_of
from bnnbench.running.preflight import Checks
from bnnbench.running.schedule import Schedule
from bnnbench.store.store import Store

NETS = """
import os
from pathlib import Path

import bnnbench as bb
from torch import nn

PLACE = Path(__file__).with_name("calls.txt")


class Panic(BaseException):
    pass


ERRORS = {error.__name__: error for error in (Panic, GeneratorExit, KeyboardInterrupt, SystemExit)}


class Good(nn.Sequential):
    def __init__(self, width=3):
        with PLACE.open("a") as file:
            file.write("built\\n")
        super().__init__(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2))


class Wrong(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(2, 3), nn.ReLU(), nn.Linear(4, 2))


class Flow(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

    def forward(self, x):
        out = super().forward(x)
        return out if out.sum() > 0 else 2 * out


class Misspelt(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

    def forward(self, x):
        return supper().forward(x)


class Reading(Flow):
    def __init__(self):
        super().__init__()
        Path(__file__).with_name("table.txt").read_text()


class Panicking(Flow):
    def forward(self, x):
        raise ERRORS[os.environ["ERROR_OF_A_TEST"]]("no forward")


class Outside(nn.Linear):
    def __init__(self):
        super().__init__(int(os.environ["INPUTS_OF_A_TEST"]), 2)


class Refusing(bb.Network):
    def build(self, data):
        raise bb.Incompatible("points are not images")
"""
FILE = """\
epsilons: [0.1]
seeds: [0, 1]
datasets: {{moons: {{use: half-moons, train_size: 20, test_size: 10}}}}
networks: {{net: {{use: 'nets.py:{network}'{more}}}}}
posteriors: {{{posteriors}}}
attacks: {{fgsm: }}
"""
SGD, NUTS = "sgd: {epochs: 1}", "nuts: {use: numpyro-nuts, draws: 2}"


def planned(folder: Path, network: str, posteriors: str = SGD, more: str = "") -> tuple[Plan, Checks, Setting]:
    (folder / "nets.py").write_text(NETS)
    path = folder / "benchmarks.yaml"
    path.write_text(FILE.format(network=network, posteriors=posteriors, more=more))
    plan, store = make_plan(read_config(path)), Store(folder / "store")
    return plan, Checks(plan, Schedule(plan, store).tasks), setting_of(plan, store)


def told(folder: Path, network: str, posteriors: str = SGD, more: str = "") -> list[tuple[str, str]]:
    _, checks, setting = planned(folder, network, posteriors, more)
    return [(finding.status, finding.text) for finding in checks.findings(InlinePool(), setting)]


def test_nothing_is_told_of_what_goes_well(tmp_path: Path) -> None:
    assert told(tmp_path, "Good") == []
    assert (tmp_path / "calls.txt").read_text() == "built\n"  # Once for both seeds.


def test_each_plan_checks_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a network can be called may depend on anything, such as a variable of the environment."""
    monkeypatch.setenv("INPUTS_OF_A_TEST", "2")
    assert told(tmp_path, "Outside") == []
    monkeypatch.setenv("INPUTS_OF_A_TEST", "3")
    ((status, _),) = told(tmp_path, "Outside")
    assert status == "failed"


@pytest.mark.parametrize(
    ("network", "more", "posteriors", "expected"),
    [
        ("Good", ", widht: 3", SGD, [("failed", "networks.net on moons: HERE/nets.py:Good (line 19) has no argument")]),
        ("Wrong", "", f"{SGD}, {NUTS}", [("failed", "networks.net on moons: network HERE/nets.py:Wrong cannot be ev")]),
        ("Misspelt", "", SGD, [("failed", "networks.net on moons: network HERE/nets.py:Misspelt cannot be evaluated")]),
        ("Flow", "", f"{SGD}, {NUTS}", [("skipped", "posteriors.nuts on moons (net): torch cannot trace Flow: ")]),
        ("Refusing", "", SGD, [("skipped", "networks.net on moons: points are not images")]),
        ("Reading", "", SGD, [("failed", "networks.net on moons: FileNotFoundError: ")]),
    ],
)
def test_each_that_would_fail_or_be_skipped_is_told_once(
    network: str, more: str, posteriors: str, expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    found = told(tmp_path, network, posteriors, more)
    assert len(found) == len(expected)
    for (status, text), (wanted, begin) in zip(found, expected, strict=True):
        assert status == wanted
        assert text.startswith(begin.replace("HERE", str(tmp_path)))
        assert text.isprintable()


@pytest.mark.parametrize(
    ("network", "place"),
    [
        ("Wrong", "(layer '2' (Linear))"),
        ("Misspelt", "(HERE/nets.py:44)"),
        ("Flow", "(HERE/nets.py:36)"),
        ("Reading", "(HERE/nets.py:50)"),
    ],
)
def test_the_line_and_the_layer_of_the_users_code_are_told(network: str, place: str, tmp_path: Path) -> None:
    ((_, text),) = told(tmp_path, network, NUTS)
    assert text.endswith(place.replace("HERE", str(tmp_path)))


@pytest.mark.parametrize("error", ["Panic", "GeneratorExit", "KeyboardInterrupt", "SystemExit"])
def test_what_is_no_exception_has_a_line_too(error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extensions raise such, and no signal has arrived."""
    monkeypatch.setenv("ERROR_OF_A_TEST", error)
    ((status, text),) = told(tmp_path, "Panicking")
    assert status == "failed"
    assert text.startswith("networks.net on moons: ")
    assert "no forward" in text
    assert text.endswith(f"({tmp_path}/nets.py:55)")


class Failing:
    """A pool whose jobs fail in one way."""

    capacity = 1

    def __init__(self, error: Exception) -> None:
        self.error = error

    def submit(self, job: Job, setting: Setting) -> concurrent.futures.Future[str]:
        future: concurrent.futures.Future[str] = concurrent.futures.Future()
        future.set_exception(self.error)
        return future

    def watch(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *rest: object) -> None:
        return None


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (
            WorkerDied("SIGSEGV"),
            "failed",
            "networks.net on moons: cannot be built and called: its process died (SIGSEGV)",
        ),
        (TimeExceeded(), "unknown", "networks.net on moons: not checked: it takes more than 60 s to build and call"),
    ],
)
def test_a_crash_and_a_network_that_takes_too_long_are_told(
    error: Exception, status: str, text: str, tmp_path: Path
) -> None:
    _, checks, setting = planned(tmp_path, "Good")
    (found,) = checks.findings(Failing(error), setting)
    assert (found.status, found.text) == (status, text)


def test_no_check_is_begun_after_the_time_for_all(tmp_path: Path) -> None:
    plan, _, setting = planned(tmp_path, "Good")
    tasks = Schedule(plan, Store(tmp_path / "store")).tasks
    (found,) = Checks(plan, tasks, preflight.Patience(60.0, -1.0)).findings(InlinePool(), setting)
    assert found.status == "unknown"
    assert not (tmp_path / "calls.txt").exists()


def test_an_absent_device_is_a_mistake_in_the_file_unless_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    plan, _, _ = planned(tmp_path, "Good")
    path = tmp_path / "benchmarks.yaml"
    path.write_text(f"device: cuda\n{path.read_text()}")
    with pytest.raises(
        bb.ConfigError, match=r"^/[^\n]*benchmarks\.yaml:1:9: device is cuda: torch finds no CUDA device"
    ):
        bb.run(path, store=tmp_path / "store", jobs=0)
    assert not (tmp_path / "store").exists()
    path.write_text(path.read_text().replace("device: cuda\n", ""))
    assert bb.run(path, store=tmp_path / "store", jobs=0).complete
    path.write_text(f"device: cuda\n{path.read_text()}")
    assert bb.run(path, store=tmp_path / "store", jobs=0).complete
    assert len(plan.fits) == 2
