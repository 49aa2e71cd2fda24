"""Tasks on GPUs: which GPU, how much of its memory, in which precision, and how many workers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bnnbench.core import backend_flags
from bnnbench.core.computing import asked_device
from bnnbench.core.standard_settings import matmul_precision, standard_settings
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan
from bnnbench.pool.job import Setting
from bnnbench.pool.processes import gpus
from bnnbench.pool.processes.gpus import Gpu, Place
from bnnbench.running import pools
from bnnbench.running.tasks import worker
from bnnbench.running.tasks.gpu import on_gpu
from bnnbench.running.tasks.network_check import run_checks, verdicts_in
from bnnbench.store.store import Store

GIB = 2**30
FILE = """
datasets: {half-moons: {}}
networks: {fc: {hidden: [3]}}
posteriors: {sgd: {}}
attacks: {fgsm: {}}
epsilons: [0.1]
"""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What torch is told of two GPUs of 80 GiB that are not there."""
    calls: list[tuple[str, Any]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "a GPU")
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: calls.append(("GPU", number)))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: SimpleNamespace(total_memory=80 * GIB))
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, number: calls.append(("share", (share, number)))
    )
    return calls


@pytest.mark.parametrize(
    ("device", "gpu", "number"), [("cuda", 1, 1), ("auto", 1, 1), ("cuda", None, 0), ("cuda:1", 0, 1)]
)
def test_a_task_computes_on_the_gpu_of_its_device_or_its_worker(
    told: list[tuple[str, Any]], device: str, gpu: int | None, number: int
) -> None:
    with on_gpu(Setting("store", device, 1, gpu=gpu)):
        assert told == [("GPU", number)]
    assert told[1:] == [("GPU", 0)]


def test_a_task_takes_no_more_memory_than_it_may(told: list[tuple[str, Any]]) -> None:
    with on_gpu(Setting("store", "cuda", 1, gpu=1, gpu_memory=20 * GIB)):
        assert told == [("GPU", 1), ("share", (0.25, 1))]
    assert told[2:] == [("share", (1.0, 1)), ("GPU", 0)]


def test_the_cpu_and_gpus_that_are_not_there_are_left_alone(told: list[tuple[str, Any]]) -> None:
    for device in ("cpu", "cuda:7"):
        with on_gpu(Setting("store", device, 1, gpu_memory=GIB)):
            pass
    assert told == []


@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_used_in_a_task_only_if_the_file_asks_for_it(told: list[tuple[str, Any]], tf32: bool) -> None:
    def work() -> tuple[Any, ...]:
        with standard_settings():
            return matmul_precision(), backend_flags.read(backend_flags.CONVOLUTIONS), asked_device()

    before = matmul_precision(), backend_flags.read(backend_flags.CONVOLUTIONS)
    ending, found = worker.timed(work, Setting("store", "cuda", torch.get_num_threads(), tf32=tf32))
    assert ending.status == "ok"
    assert found == (("high", True, "cuda") if tf32 else ("highest", False, "cuda"))
    assert (matmul_precision(), backend_flags.read(backend_flags.CONVOLUTIONS)) == before
    kernels = ending.environment["kernels"]
    assert kernels["gpu"] == "a GPU"
    assert kernels["flags"]["cuda.matmul.allow_tf32"] is tf32
    assert kernels["flags"]["cudnn.allow_tf32"] is tf32


def test_without_a_gpu_tf32_changes_nothing() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")

    def work() -> Any:
        with standard_settings():
            return matmul_precision()

    assert worker.timed(work, Setting("store", "auto", torch.get_num_threads(), tf32=True))[1] == "highest"


@pytest.mark.integration
def test_a_sampler_in_jax_without_the_gpu_is_told_before_anything_is_fitted(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("JAX may have the GPU too")
    file = tmp_path / "benchmarks.yaml"
    file.write_text("device: cuda" + FILE.replace("sgd: {}", "numpyro-hmc: {}"))
    (fit,) = make_plan(read_config(file)).fits.values()
    (verdict,) = verdicts_in(run_checks([fit], Setting("store", "cuda", 1)))
    assert (verdict.status, verdict.stage) == ("failed", "posterior")
    assert "install bnnbench[cuda], or set device: auto" in verdict.reason
    (verdict,) = verdicts_in(run_checks([fit], Setting("store", "auto", 1)))
    assert verdict.status == "ok"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The pools that were made: two GPUs are there, and eight cores."""
    pools_made: list[dict[str, Any]] = []
    monkeypatch.setattr(gpus, "inventory", lambda: [Gpu(0, 80 * GIB), Gpu(1, 80 * GIB)])
    monkeypatch.setattr(pools, "usable_cores", lambda: list(range(8)))
    monkeypatch.setattr(pools, "ProcessesPool", lambda number, **rest: pools_made.append({"number": number, **rest}))
    return pools_made


@pytest.mark.parametrize(
    ("top", "jobs", "number", "places"),
    [
        ("device: cpu", None, 8, []),
        ("device: auto", None, 2, [Place(0), Place(1)]),
        ("device: cuda", 3, 3, [Place(0), Place(1), Place(0)]),
        ("device: cuda\nlimits: {gpu_memory: 40GiB}", None, 4, [Place(number, 0.5) for number in (0, 1, 0, 1)]),
    ],
)
def test_the_number_of_workers_is_that_of_gpus_or_of_cores(
    made: list[dict[str, Any]], tmp_path: Path, top: str, jobs: int | None, number: int, places: list[Place]
) -> None:
    file = tmp_path / "benchmarks.yaml"
    file.write_text(top + FILE)
    plan = make_plan(read_config(file))
    pools.local_pool(plan, jobs, 100)
    assert (made[0]["number"], made[0]["places"]) == (number, places)
    setting = pools.setting_of(plan, Store(tmp_path / "store"))
    assert (setting.tf32, setting.gpu_memory) == (False, 40 * GIB if "limits" in top else None)
