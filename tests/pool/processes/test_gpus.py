"""The GPUs of a computer, and how workers are spread over them. No GPU is there: the inventory is made up."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from bnnbench.pool.processes import gpus
from bnnbench.pool.processes.gpus import Gpu, Place

GIB = 2**30
TWO = [Gpu(0, 80 * GIB), Gpu(1, 24 * GIB)]
ANSWER = "GPU-5c3f, 81559\nGPU-77aa, 24564\nGPU-5d00, 16384\n"


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "inventory", lambda: TWO)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_there_is_one_worker_for_each_gpu(two_gpus: None, device: str) -> None:
    assert gpus.places(device, None, None) == [Place(0), Place(1)]


def test_more_workers_take_the_gpus_in_turn(two_gpus: None) -> None:
    assert [place.gpu for place in gpus.places("cuda", 5, None)] == [0, 1, 0, 1, 0]


def test_a_numbered_device_is_one_gpu(two_gpus: None) -> None:
    assert gpus.places("cuda:1", 2, None) == [Place(1), Place(1)]


def test_as_many_workers_share_a_gpu_as_have_room(two_gpus: None) -> None:
    found = gpus.places("cuda", None, 16 * GIB)
    assert [place.gpu for place in found] == [0, 1, 0, 0, 0, 0]
    assert [place.share for place in found[:2]] == [0.2, 16 / 24]


def test_no_more_workers_than_have_room_are_started(two_gpus: None) -> None:
    assert [place.gpu for place in gpus.places("cuda", 3, 16 * GIB)] == [0, 1, 0]
    assert len(gpus.places("cuda", 50, 16 * GIB)) == 6


def test_a_limit_above_the_memory_of_a_gpu_leaves_one_worker_all_of_it(two_gpus: None) -> None:
    assert gpus.places("cuda:1", None, 100 * GIB) == [Place(1, 1.0)]


def test_the_cpu_and_a_computer_without_gpus_have_no_places(monkeypatch: pytest.MonkeyPatch, two_gpus: None) -> None:
    assert gpus.places("cpu", 2, None) == []
    monkeypatch.setattr(gpus, "inventory", list)
    assert gpus.places("auto", 2, GIB) == []


@pytest.mark.parametrize(("device", "number"), [("cuda", 0), ("cuda:3", 3)])
def test_a_gpu_that_the_driver_does_not_tell_of_has_one_worker(
    monkeypatch: pytest.MonkeyPatch, device: str, number: int
) -> None:
    monkeypatch.setattr(gpus, "inventory", list)
    assert gpus.places(device, None, None) == [Place(number)]
    assert gpus.places(device, None, GIB) == [Place(number, None)]


@pytest.mark.parametrize(
    ("visible", "sizes"),
    [
        (None, [81559, 24564, 16384]),
        ("2,0", [16384, 81559]),
        ("GPU-77", [24564]),
        ("1,7,0", [24564]),
        ("", []),
        ("-1", []),
    ],
)
def test_the_variable_of_cuda_chooses_and_orders_the_gpus(visible: str | None, sizes: list[int]) -> None:
    assert gpus.listed(ANSWER, visible) == [Gpu(number, size * 2**20) for number, size in enumerate(sizes)]


def test_what_is_no_gpu_in_the_answer_is_passed_over() -> None:
    assert gpus.listed("No devices were found\n", None) == []
    assert gpus.listed("GPU-1, [N/A]\nGPU-2, 100\n", None) == [Gpu(0, 100 * 2**20)]


def test_a_computer_without_the_driver_s_program_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert gpus.inventory() == []


@pytest.mark.parametrize("with_cuda", [False, True])
def test_gpus_count_only_if_torch_is_built_for_them(monkeypatch: pytest.MonkeyPatch, with_cuda: bool) -> None:
    def answer(command: list[str], **options: Any) -> Any:
        return subprocess.CompletedProcess(command, 0, ANSWER, "")

    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(subprocess, "run", answer)
    monkeypatch.setattr(gpus, "_torch_has_cuda", lambda: with_cuda)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert len(gpus.inventory()) == 3 * with_cuda


def test_a_driver_that_does_not_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], **options: Any) -> Any:
        raise subprocess.TimeoutExpired(command, 1.0)

    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(subprocess, "run", fail)
    monkeypatch.setattr(gpus, "_torch_has_cuda", lambda: True)
    assert gpus.inventory() == []


def test_whether_torch_has_cuda_is_read_without_importing_it() -> None:
    import torch

    assert gpus._torch_has_cuda() == (torch.version.cuda is not None)


@pytest.mark.integration
def test_the_inventory_loads_no_framework() -> None:
    program = "from bnnbench.pool.processes import gpus; gpus.inventory(); import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
