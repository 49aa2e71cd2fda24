"""The device of JAX follows the one that is asked for. JAX's GPUs are made up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import pytest
import torch
from bnnbench_plugins.numpyro import jax_settings
from logistic import problem

import bnnbench as bb
from bnnbench.core.computing import asking

CPU = jax.devices("cpu")[0]


class Gpu:
    """A GPU of JAX."""

    def __init__(self, number: int) -> None:
        self.number, self.platform = number, "gpu"


GPUS = [Gpu(0), Gpu(1)]


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """The devices of JAX by platform; torch has two GPUs, of which the second is the current one."""
    found: dict[str, list[Any]] = {"cpu": [CPU], "cuda": list(GPUS)}

    def known(platform: str | None = None) -> list[Any]:
        if not found[platform or "cpu"]:
            raise RuntimeError(f"Unknown backend {platform}")
        return found[platform or "cpu"]

    monkeypatch.setattr(jax, "devices", known)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    return found


@pytest.mark.parametrize(("asked", "device"), [("cpu", CPU), ("cuda:0", GPUS[0]), ("cuda", GPUS[1])])
def test_jax_computes_where_torch_does(devices: dict[str, list[Any]], asked: str, device: Any) -> None:
    with asking(device=asked):
        assert jax_settings.device() is device


def test_by_default_jax_uses_a_gpu_if_both_have_it(
    devices: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jax_settings.device() is GPUS[1]
    devices["cuda"].clear()
    assert jax_settings.device() is CPU
    devices["cuda"].extend(GPUS)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert jax_settings.device() is CPU


@pytest.mark.parametrize(("gpus", "told"), [([], "no CUDA device here"), (GPUS[:1], "1 CUDA device here")])
def test_a_gpu_that_is_asked_for_and_not_there_is_told(
    devices: dict[str, list[Any]], gpus: list[Any], told: str
) -> None:
    devices["cuda"][:] = gpus
    with asking(device="cuda"), pytest.raises(bb.BnnbenchError, match=rf"finds {told}: install bnnbench\[cuda\]"):
        jax_settings.device()


def test_a_cpu_that_is_asked_for_and_ruled_out_is_told(devices: dict[str, list[Any]]) -> None:
    devices["cpu"].clear()
    with asking(device="cpu"), pytest.raises(bb.BnnbenchError, match="add cpu to JAX_PLATFORMS"):
        jax_settings.device()


@pytest.mark.parametrize(("tf32", "precision"), [(False, "highest"), (True, "tensorfloat32")])
def test_products_on_a_gpu_are_in_full_precision_unless_tf32_is_asked_for(
    devices: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch, tf32: bool, precision: str
) -> None:
    used = []

    @contextlib.contextmanager
    def default_device(device: Any) -> Iterator[None]:
        used.append(device)
        yield

    monkeypatch.setattr(jax, "default_device", default_device)
    with asking(device="cuda:0", tf32=tf32), jax_settings.standard_settings():
        assert jax.config.jax_default_matmul_precision == precision
    with asking(device="cpu", tf32=tf32), jax_settings.standard_settings():
        assert jax.config.jax_default_matmul_precision is None
    assert used == [GPUS[0], CPU]


@pytest.mark.integration
def test_a_fit_hands_its_device_to_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = jax_settings.device

    def noted() -> Any:
        seen.append(jax_settings.asked_device())
        return real()

    monkeypatch.setattr(jax_settings, "device", noted)
    data = problem(2)
    posterior = bb.posterior("numpyro-hmc", draws=2, warmup=0, leapfrog_steps=1, adapt_step_size=False)
    bb.fit(posterior, bb.network("fc", hidden=(3,)).build(data), data, device="cpu")
    assert set(seen) == {"cpu"}
