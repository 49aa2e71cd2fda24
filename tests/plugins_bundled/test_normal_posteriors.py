"""What Laplace approximations and variational inference with correlations have in common."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnnbench_plugins.laplace.laplace import Laplace
from bnnbench_plugins.torch.gaussian_vi import GaussianVI
from torch import nn

import bnnbench as bb

POSTERIORS = {
    "last-layer": Laplace(epochs=2, draws=3),
    "linearised": Laplace(epochs=2, draws=3, weights="all"),
    "networks": Laplace(epochs=2, draws=3, weights="all", hessian="diagonal", linearised=False),
    "full": Laplace(epochs=2, draws=3, weights="all", hessian="full", linearised=False),
    "low-rank-vi": GaussianVI(epochs=2, draws=3),
    "full-vi": GaussianVI(epochs=2, draws=3, covariance="full"),
}
ALL = pytest.mark.parametrize("name", POSTERIORS)


def images(size: int = 12) -> bb.Data:
    rng = np.random.default_rng(0)
    x, y = rng.random((size, 1, 4, 4)), np.arange(size) % 3
    return bb.Data(train=(x, y), test=(x[:4], y[:4]))


def network() -> nn.Module:
    """A convolution, batch norm, group norm and a linear layer."""
    layers = [nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.GroupNorm(1, 2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(18, 3)).eval()


@ALL
def test_the_seed_decides_and_the_template_does_not(name: str) -> None:
    posterior = POSTERIORS[name]
    first, again, other = (posterior.fit(network(), images(), seed=seed) for seed in (4, 4, 5))
    for key, array in first.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[key])
        assert not np.array_equal(array, other.arrays[key])
    for key, array in first.shared.items():
        np.testing.assert_array_equal(array, again.shared[key])


@ALL
def test_draws_have_the_names_shapes_and_precision_of_the_network(name: str) -> None:
    template = network()
    draws = POSTERIORS[name].fit(template, images(), seed=0)
    weights = {key: (1, 3, *weight.shape) for key, weight in template.named_parameters()}
    if name == "last-layer":
        assert weights.keys() - draws.arrays.keys() <= draws.shared.keys()
        weights = {key: shape for key, shape in weights.items() if key.startswith("5.")}
    assert {key: array.shape for key, array in draws.arrays.items()} == weights
    assert {array.dtype for array in draws.arrays.values()} == {np.dtype(np.float32)}
    assert {"1.running_mean", "1.running_var"} <= draws.shared.keys()


@ALL
def test_it_fits_by_the_rules_and_its_saved_draws_are_the_same(name: str, tmp_path: object) -> None:
    """`bnnbench.fit` refuses a fit that changes the template, the data or a global random state."""
    predictive = bb.fit(POSTERIORS[name], network(), images(), seed=0, device="cpu")
    predictive.save(f"{tmp_path}/draws.safetensors")
    loaded = bb.load(f"{tmp_path}/draws.safetensors", network())
    x, y = images().test
    # A loaded network of the user does not know its shape, so its convolutions may have other kernels.
    torch.testing.assert_close(predictive.logits(x), loaded.logits(x), rtol=1e-4, atol=1e-5)
    attacked = bb.attack("fgsm")(loaded, x, y, bb.Threat(epsilon=0.05))
    assert (attacked - x).abs().max() == pytest.approx(0.05)


@ALL
def test_the_test_sample_has_no_influence(name: str) -> None:
    data = images()
    other = bb.Data(train=data.train, test=(1 - data.train[0], data.train[1]))
    first, second = (POSTERIORS[name].fit(network(), each, seed=0) for each in (data, other))
    np.testing.assert_array_equal(first.arrays["5.weight"], second.arrays["5.weight"])


@ALL
def test_a_network_without_parameters_is_incompatible(name: str) -> None:
    with pytest.raises(bb.Incompatible, match="no parameters"):
        POSTERIORS[name].fit(nn.Flatten(), images(), seed=0)
