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
from pathlib import Path

import bnnbench as bb
from torch import nn

PLACE = Path(__file__).with_name("calls.txt")


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


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))


def planned(folder: Path, network: str, posteriors: str = SGD, more: str = "") -> tuple[Plan, Checks, Setting]:
    (folder / "nets.py").write_text(NETS)
    path = folder / "benchmarks.yaml"
    path.write_text(FILE.format(network=network, posteriors=posteriors, more=more))
    plan, store = make_plan(read_config(path)), Store(folder / "store")
    return plan, Checks(plan, Schedule(plan, store).tasks), setting_of(plan, store)


def told(folder: Path, network: str, posteriors: str = SGD, more: str = "") -> list[tuple[str, str]]:
    _, checks, setting = planned(folder, network, posteriors, more)
    return [(finding.status, finding.text) for finding in checks.findings(InlinePool(), setting)]


def test_nothing_is_told_of_what_goes_well_and_it_is_remembered(tmp_path: Path) -> None:
    assert told(tmp_path, "Good") == []
    assert (tmp_path / "calls.txt").read_text() == "built\n"  # Once for both seeds.
    _, checks, _ = planned(tmp_path, "Good")
    assert not checks.needed
    assert checks.known() == []
    assert planned(tmp_path, "Good", more=", width: 4")[1].needed
    assert planned(tmp_path, "Good", posteriors="sgd: {epochs: 2}")[1].needed


@pytest.mark.parametrize(
    ("network", "more", "posteriors", "expected"),
    [
        ("Good", ", widht: 3", SGD, [("failed", "networks.net on moons: HERE/nets.py:Good (line 11) has no argument")]),
        ("Wrong", "", f"{SGD}, {NUTS}", [("failed", "networks.net on moons: network HERE/nets.py:Wrong cannot be ev")]),
        ("Misspelt", "", SGD, [("failed", "networks.net on moons: network HERE/nets.py:Misspelt cannot be evaluated")]),
        ("Flow", "", f"{SGD}, {NUTS}", [("skipped", "posteriors.nuts on moons (net): torch.fx cannot trace Flow: ")]),
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
        ("Misspelt", "(HERE/nets.py:36)"),
        ("Flow", "(HERE/nets.py:28)"),
        ("Reading", "(HERE/nets.py:42)"),
    ],
)
def test_the_line_and_the_layer_of_the_users_code_are_told(network: str, place: str, tmp_path: Path) -> None:
    ((_, text),) = told(tmp_path, network, NUTS)
    assert text.endswith(place.replace("HERE", str(tmp_path)))


def test_failures_are_not_remembered_and_skips_are(tmp_path: Path) -> None:
    assert told(tmp_path, "Wrong")
    assert planned(tmp_path, "Wrong")[1].needed
    (skipped,) = told(tmp_path, "Flow", NUTS)
    _, checks, _ = planned(tmp_path, "Flow", NUTS)
    assert not checks.needed
    assert [(finding.status, finding.text) for finding in checks.known()] == [skipped]


def test_a_file_that_the_network_read_and_that_changed_is_checked_again(tmp_path: Path) -> None:
    (tmp_path / "table.txt").write_text("1")
    assert told(tmp_path, "Reading") == []
    assert not planned(tmp_path, "Reading")[1].needed
    (tmp_path / "table.txt").write_text("2")
    assert planned(tmp_path, "Reading")[1].needed
    (tmp_path / "table.txt").unlink()
    assert planned(tmp_path, "Reading")[1].needed


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"status": "failed"}', '{"status": "ok", "stage": 1}'])
def test_a_remembered_check_that_is_damaged_is_made_again(content: str, tmp_path: Path) -> None:
    assert told(tmp_path, "Good") == []
    (kept,) = (tmp_path / "cache" / "checks").iterdir()
    kept.write_text(content)
    assert planned(tmp_path, "Good")[1].needed


def test_a_cache_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    assert told(tmp_path, "Good") == []
    assert planned(tmp_path, "Good")[1].needed


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
    assert planned(tmp_path, "Good")[1].needed


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
