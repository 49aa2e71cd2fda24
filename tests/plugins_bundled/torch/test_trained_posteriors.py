"""What holds for every posterior of this package that trains a network by minibatches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bnnbench as bb

BRIEF = {"epochs": 2, "batch_size": 16}
NAMES = {
    "sgd": BRIEF,
    "adversarial-sgd": BRIEF | {"steps": 2},
    "mc-dropout": BRIEF | {"draws": 3},
    "swag": BRIEF | {"draws": 3, "collect_epochs": 3},
    "bayes-by-backprop": BRIEF | {"draws": 3},
}
EACH = pytest.mark.parametrize("name", NAMES)


def posterior(name: str) -> bb.Posterior:
    return bb.posterior(name, **NAMES[name])


def data(size: int = 40) -> bb.Data:
    rng = np.random.default_rng(5)
    y = rng.integers(3, size=size)
    x = (0.1 * rng.standard_normal((size, 1, 2, 2)) + y[:, None, None, None] / 3 + 0.2).clip(0, 1).astype("f4")
    return bb.Data(train=(x, y), test=(x[:8], y[:8]), classes=3)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)
    ).eval()


@EACH
def test_draws_fit_the_network_and_the_seed_decides(name: str) -> None:
    template, sample = network().requires_grad_(False), data()
    before = {key: value.clone() for key, value in template.state_dict().items()}
    state = torch.get_rng_state()
    first, again, other = (posterior(name).fit(template, sample, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[key]) for key, value in template.state_dict().items())
    assert not any(layer._forward_pre_hooks or layer._forward_hooks for layer in template.modules())
    assert len(first) == posterior(name).draws
    for key, weight in template.named_parameters():
        assert first.arrays[key].shape == (1, posterior(name).draws, *weight.shape)
        assert first.arrays[key].dtype == np.float32
        assert np.isfinite(first.arrays[key]).all()
    for key, array in first.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[key])
    assert not np.array_equal(first.arrays["0.weight"], other.arrays["0.weight"])


@EACH
def test_the_test_sample_has_no_influence(name: str) -> None:
    sample = data()
    other = bb.Data(train=sample.train, test=(1 - sample.train[0], sample.train[1]), classes=3)
    one, two = (posterior(name).fit(network(), each, seed=0).arrays for each in (sample, other))
    assert all(np.array_equal(one[key], two[key]) for key in one)


@EACH
def test_a_fit_is_saved_loaded_and_attacked(name: str, tmp_path: Path) -> None:
    fitted = bb.fit(posterior(name), network(), data(), seed=0, device="cpu")
    fitted.save(tmp_path / "fit.safetensors")
    loaded = bb.load(tmp_path / "fit.safetensors", network())
    x = data().test[0]
    torch.testing.assert_close(loaded.log_probs(x), fitted.log_probs(x))
    outcome = bb.evaluate(loaded, bb.attack("fgsm"), data(), epsilon=0.1)
    assert 0 <= outcome.robust_accuracy <= 1


@EACH
def test_a_network_without_parameters_is_incompatible(name: str) -> None:
    with pytest.raises(bb.Incompatible, match="no parameters"):
        posterior(name).fit(nn.Flatten(), data(), seed=0)
