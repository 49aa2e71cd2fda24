"""The recorded environment tells what changes numbers, and where bits may differ."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from bnnbench.core.computing import asking
from bnnbench.core.ensemble import precision
from bnnbench.core.process_state import CUDA_FLAGS
from bnnbench.store import environment as module
from bnnbench.store.environment import environment, gives_the_same_bits


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The environment of a process that has a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    return environment(1)


def test_the_kernels_of_matrix_products_are_recorded() -> None:
    assert environment(1)["kernels"]["products"] == precision.products()


def test_the_variable_that_chooses_products_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BNNBENCH_PRODUCTS", "default")
    precision._chosen.cache_clear()
    found = environment(1)
    precision._chosen.cache_clear()
    assert found["variables"]["BNNBENCH_PRODUCTS"] == found["kernels"]["products"] == "default"


def test_flags_of_cuda_are_recorded_where_there_is_a_gpu(with_gpu: dict[str, Any]) -> None:
    flags = json.loads(json.dumps(with_gpu))["kernels"]["flags"]
    assert set(flags) == set(CUDA_FLAGS)
    assert flags["cudnn.enabled"] is True
    assert flags["cuda.matmul.allow_tf32"] is False


def test_a_task_for_the_cpu_has_no_gpu(with_gpu: dict[str, Any]) -> None:
    """So its bits are compared, on a computer with a GPU too."""
    with asking(device="cpu"):
        found = environment(1)
    assert found["kernels"]["gpu"] is None
    assert gives_the_same_bits(found, found)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a computer without a GPU")
def test_flags_of_cuda_are_not_recorded_without_a_gpu() -> None:
    assert "flags" not in environment(1)["kernels"]


def test_a_flag_that_changes_later_is_recorded_then(with_gpu: dict[str, Any]) -> None:
    torch.backends.cudnn.benchmark = True
    try:
        assert module._cuda_flags()["cudnn.benchmark"] is True
    finally:
        torch.backends.cudnn.benchmark = False
    assert with_gpu["kernels"]["flags"]["cudnn.benchmark"] is False


def test_equal_environments_give_the_same_bits_unless_they_have_a_gpu(with_gpu: dict[str, Any]) -> None:
    without = {**with_gpu, "kernels": {**with_gpu["kernels"], "gpu": None}}
    assert gives_the_same_bits(without, without)
    assert gives_the_same_bits(without, {**without, "platform": "another"})
    assert not gives_the_same_bits(without, {**without, "threads": 2})
    assert not gives_the_same_bits(with_gpu, with_gpu)
    assert not gives_the_same_bits(with_gpu, without)
    assert not gives_the_same_bits(without, with_gpu)


def test_environments_recorded_before_torch_was_loaded_are_compared() -> None:
    assert gives_the_same_bits({"threads": 1}, {"threads": 1})
