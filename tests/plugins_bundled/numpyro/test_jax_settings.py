"""Chains are the same whatever the settings of JAX are in the host program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import pytest
import torch
from bnnbench_plugins.numpyro import jax_settings
from logistic import problem

import bnnbench as bb

pytestmark = pytest.mark.integration
HOSTS = {
    "jax_enable_x64": True,
    "jax_default_matmul_precision": "bfloat16",
    "jax_debug_nans": True,
    "jax_disable_jit": True,
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_random_seed_offset": 7,
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_legacy_prng_key": "error",
    "jax_transfer_guard": "disallow",
}


def draws() -> dict[str, torch.Tensor]:
    """The draws of a short chain of each sampler, by sampler and weight."""
    data, found = problem(2), {}
    for posterior in (
        bb.posterior("numpyro-nuts", draws=4, warmup=3, max_tree_depth=2, adapt_mass_matrix=True),
        bb.posterior("numpyro-hmc", draws=4, warmup=3, leapfrog_steps=3),
    ):
        network = bb.network("fc", hidden=(3,)).build(data)
        fitted = bb.fit(posterior, network, data, seed=2**32 - 1)
        found |= {f"{type(posterior).__name__}.{name}": value for name, value in fitted.draws.items()}
    return found


@pytest.fixture(scope="module")
def expected() -> dict[str, torch.Tensor]:
    return draws()


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """A setting that the host has changed, and its value."""
    name, value = request.param
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    yield name, value
    jax.config.update(name, before)


@pytest.mark.parametrize("host", HOSTS.items(), ids=HOSTS, indirect=True)
def test_no_setting_of_the_host_changes_draws_or_is_changed(
    host: tuple[str, Any], expected: dict[str, torch.Tensor]
) -> None:
    found = draws()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert getattr(jax.config, host[0]) == host[1]


def test_a_setting_of_the_host_s_thread_is_left_as_it_is(expected: dict[str, torch.Tensor]) -> None:
    with jax.experimental.enable_x64() if not hasattr(jax, "enable_x64") else jax.enable_x64(True):
        found = draws()
        assert jax.config.jax_enable_x64
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("variable", "error", "told"),
    [
        ("JAX_PLATFORMS", AssertionError(), r"JAX_PLATFORMS=cuda asks for \(it is not there\)"),
        ("JAX_PLATFORM_NAME", RuntimeError("no\nCUDA"), r"JAX_PLATFORM_NAME=cuda asks for \(no CUDA\)"),
    ],
)
def test_a_platform_that_is_not_there_is_told_with_its_variable(
    variable: str, error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise error

    for name in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "cuda")
    monkeypatch.setattr(jax, "devices", refuse)
    with pytest.raises(bb.BnnbenchError, match=told):
        jax_settings.check_platform()
    with pytest.raises(bb.BnnbenchError, match="unset that, or install JAX for the platform"):
        draws()


def test_a_platform_of_the_host_s_own_choice_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("it is not known.")

    for name in jax_settings.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = jax.config.jax_platforms
    monkeypatch.setattr(jax, "devices", refuse)
    try:
        jax.config.update("jax_platforms", "cuda")
        with pytest.raises(bb.BnnbenchError, match=r"jax_platforms=cuda of jax.config asks for \(it is not known\)"):
            jax_settings.check_platform()
        jax.config.update("jax_platforms", None)
        with pytest.raises(bb.BnnbenchError, match=r"JAX has no device that it can use: it is not known$"):
            jax_settings.check_platform()
    finally:
        jax.config.update("jax_platforms", before)
