"""Samplers in JAX, on a real GPU if JAX has it too."""

from __future__ import annotations

import jax
import pytest
import torch
from real_gpu import MARKS, TOLERANCE, plain, sample

import bnnbench as bb


def has_gpu() -> bool:
    """Whether JAX can use a GPU."""
    try:
        return bool(jax.devices("cuda"))
    except RuntimeError:
        return False


pytestmark = [*MARKS, pytest.mark.skipif(not has_gpu(), reason="JAX finds no CUDA device here: bnnbench[cuda]")]
SHORT = {"draws": 4, "warmup": 10, "chains": 2}


@pytest.mark.parametrize(
    ("name", "more"), [("numpyro-hmc", {"leapfrog_steps": 3}), ("numpyro-nuts", {"max_tree_depth": 3})]
)
def test_a_chain_on_the_gpu_is_that_of_the_cpu(name: str, more: dict[str, int]) -> None:
    posterior = bb.posterior(name, **SHORT, **more)
    here, there = (bb.fit(posterior, plain(), sample(), seed=1, device=device) for device in ("cpu", "cuda"))
    assert there.device.type == "cuda"
    for key, draws in here.draws.items():
        # Rounding grows along a chain.
        assert torch.allclose(there.draws[key].cpu()[:1], draws[:1], rtol=0.05, atol=0.02), key


def test_jax_computes_on_the_device_that_is_asked_for() -> None:
    from bnnbench_plugins.numpyro import jax_settings

    from bnnbench.core.computing import asking

    for device, platform in (("cpu", "cpu"), ("cuda", "gpu"), ("auto", "gpu")):
        with asking(device=device), jax_settings.standard_settings():
            (place,) = jax.numpy.ones(3).devices()
            assert place.platform == platform


def test_products_of_jax_are_in_full_precision() -> None:
    from bnnbench_plugins.numpyro import jax_settings

    from bnnbench.core.computing import asking

    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 256, generator=generator) for _ in range(2))
    with asking(device="cuda"), jax_settings.standard_settings():
        product = torch.from_numpy(jax.device_get(jax.numpy.asarray(left.numpy()) @ jax.numpy.asarray(right.numpy())))
    exact = left.double() @ right.double()
    assert float((product - exact).abs().max() / exact.abs().max()) < TOLERANCE / 50
