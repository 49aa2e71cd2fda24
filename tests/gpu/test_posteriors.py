"""Every posterior on a real GPU: it fits, lies there, and predicts what its draws predict on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from real_gpu import MARKS, TOLERANCE, convolutional, plain, sample
from torch import nn

import bnnbench as bb

pytestmark = MARKS
SHORT: dict[str, dict[str, Any]] = {
    "sgd": {"epochs": 3},
    "adversarial-sgd": {"epochs": 2},
    "bayes-by-backprop": {"epochs": 3, "draws": 4},
    "gaussian-vi": {"epochs": 3, "draws": 4},
    "swag": {"epochs": 2, "collect_epochs": 3, "draws": 4},
    "mc-dropout": {"epochs": 3, "draws": 4},
    "deep-ensemble": {},
    "bootstrap-ensemble": {},
    "anchored-ensemble": {},
    "multi-swag": {},
    "laplace": {"draws": 4},
    "last-layer": {},
    "mean-network": {},
    "one-draw": {},
    "gaussian-process": {"draws": 4},
    "nngp": {"draws": 4},
    "pyro-hmc": {"draws": 4, "warmup": 10, "leapfrog_steps": 3, "chains": 2},
}
FIXED = ("sgd", "adversarial-sgd", "deep-ensemble", "pyro-hmc")
"""Posteriors whose random numbers are drawn on the CPU: their draws are those of the CPU, up to rounding."""


def network(name: str) -> nn.Module:
    return convolutional() if name in ("sgd", "adversarial-sgd", "bayes-by-backprop", "swag") else plain()


def fitted(name: str, device: str) -> bb.Predictive:
    return bb.fit(bb.posterior(name, **SHORT[name]), network(name), sample(), seed=1, device=device)


@pytest.mark.parametrize("name", SHORT)
def test_a_posterior_is_fitted_on_the_gpu(name: str) -> None:
    predictive, x = fitted(name, "cuda"), sample().test[0]
    assert predictive.device.type == "cuda"
    found = predictive.log_probs(x.cuda())
    assert found.device.type == "cuda"
    assert found.isfinite().all()
    again = fitted(name, "cuda").log_probs(x.cuda())
    assert torch.allclose(found, again, atol=TOLERANCE)


@pytest.mark.parametrize("name", SHORT)
def test_a_fit_of_the_gpu_predicts_the_same_on_the_cpu(name: str, tmp_path: Path) -> None:
    predictive, x = fitted(name, "cuda"), sample().test[0]
    predictive.save(tmp_path / "fit.safetensors")
    loaded = bb.load(tmp_path / "fit.safetensors", network=network(name))
    assert loaded.device.type == "cpu"
    assert torch.allclose(predictive.log_probs(x).cpu(), loaded.log_probs(x), atol=TOLERANCE)


@pytest.mark.parametrize("name", FIXED)
def test_draws_are_those_of_the_cpu_where_all_random_numbers_come_from_there(name: str) -> None:
    there, here = fitted(name, "cuda"), fitted(name, "cpu")
    for key, draws in here.draws.items():
        assert torch.allclose(there.draws[key].cpu(), draws, rtol=0.05, atol=0.02), key
