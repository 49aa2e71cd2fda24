"""The last layer by any posterior: equal to that posterior where the network is one linear layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from bnnbench_plugins.ensembles.last_layer import LastLayer
from torch import nn

import bnnbench as bb
from bnnbench.evidence.card import posterior_card

LAYERS: dict[str, dict[str, Any]] = {
    "laplace": {"epochs": 10, "draws": 4},
    "bayes-by-backprop": {"epochs": 3, "draws": 4},
    "numpyro-hmc": {"draws": 4, "chains": 2, "warmup": 5, "leapfrog_steps": 3},
    "sgd": {"epochs": 2},
}


def three_classes(size: int = 60) -> bb.Data:
    rng = np.random.default_rng(5)
    y = rng.integers(3, size=size)
    x = 0.2 * rng.standard_normal((size, 2)) + np.array([[0.2, 0.2], [0.5, 0.8], [0.8, 0.3]])[y]
    return bb.Data(train=(x, y), test=(x[:8], y[:8]), bounds=(-3, 3), classes=3)


def last_layer(name: str = "laplace") -> LastLayer:
    return LastLayer(of={"use": "sgd", "epochs": 3}, layer={"use": name, **LAYERS[name]})


@pytest.mark.integration
@pytest.mark.parametrize("name", LAYERS)
def test_of_a_network_of_one_linear_layer_it_is_the_posterior_of_the_layer(name: str) -> None:
    data, network = three_classes(), nn.Linear(2, 3)
    found = last_layer(name).fit(network, data, seed=3)
    expected = bb.posterior(name, **LAYERS[name]).fit(network, data, seed=3)
    assert found.arrays.keys() == expected.arrays.keys() == {"weight", "bias"}
    for key, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[key], array)
    assert (found.chains, found.per_chain) == (expected.chains, expected.per_chain)
    assert found.diagnostics.keys() == expected.diagnostics.keys()


def test_all_layers_before_the_last_one_are_those_of_the_trained_network() -> None:
    data, network = three_classes(), nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
    posterior = last_layer()
    trained = posterior.of.fit(network.eval(), data, seed=1)
    predictive = bb.fit(posterior, network, data, seed=1, device="cpu")
    assert predictive.draws.keys() == {"3.weight", "3.bias"}
    for name in ("0.weight", "1.weight", "1.bias"):
        np.testing.assert_array_equal(predictive.shared[name].numpy(), trained.arrays[name][0, 0])
    np.testing.assert_array_equal(predictive.shared["1.running_mean"].numpy(), trained.shared["1.running_mean"])
    before = bb.Predictive(
        nn.Sequential(*network[:3], nn.Identity()),
        {name: array[0] for name, array in trained.arrays.items() if name[0] != "3"}
        | {name: array[None] for name, array in trained.shared.items()},
    )
    features = before.logits(data.test[0])[0]
    expected = torch.einsum("sko,no->snk", predictive.draws["3.weight"], features) + predictive.draws["3.bias"][:, None]
    torch.testing.assert_close(predictive.logits(data.test[0]), expected)


def test_a_log_softmax_after_the_last_layer_changes_nothing() -> None:
    data = three_classes()
    layers = [nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3)]
    plain, with_softmax = (
        last_layer().fit(nn.Sequential(*layers, *more), data, seed=0) for more in ((), (nn.LogSoftmax(-1),))
    )
    np.testing.assert_allclose(plain.arrays["2.weight"], with_softmax.arrays["2.weight"], atol=1e-3)


def test_it_is_saved_attacked_and_judged_as_any_other(tmp_path: object) -> None:
    data = three_classes()
    network = bb.network("fc", hidden=(6,)).build(data)
    posterior = bb.posterior("last-layer", of={"use": "sgd", "epochs": 3}, layer={"use": "laplace", "draws": 4})
    predictive = bb.fit(posterior, network, data)
    predictive.save(f"{tmp_path}/draws.safetensors")
    loaded = bb.load(f"{tmp_path}/draws.safetensors")
    x, y = data.test
    assert torch.equal(predictive.log_probs(x), loaded.log_probs(x))
    attacked = bb.attack("fgsm")(loaded, x, y, bb.Threat(epsilon=0.1, bounds=data.bounds))
    assert loaded.log_probs(attacked)[range(8), y].mean() < loaded.log_probs(x)[range(8), y].mean()
    assert posterior_card(loaded, data)["level"] == "independent"
    assert not LastLayer(layer="numpyro-nuts").independent_draws


def test_the_seed_decides() -> None:
    data, network = three_classes(), bb.network("fc", hidden=(6,)).build(three_classes())
    first, again, other = (last_layer().fit(network, data, seed=seed) for seed in (4, 4, 5))
    for name in first.arrays:
        np.testing.assert_array_equal(first.arrays[name], again.arrays[name])
        assert not np.array_equal(first.arrays[name], other.arrays[name])


def test_its_draws_are_those_of_the_layer() -> None:
    assert LastLayer(layer={"use": "laplace", "draws": 7}).draws == 7
    assert LastLayer(draws=7, layer={"use": "laplace", "draws": 7}).draws == 7
    with pytest.raises(bb.ParameterError, match=r"draws \(8\) must be those of layer \(7\)"):
        LastLayer(draws=8, layer={"use": "laplace", "draws": 7})
    with pytest.raises(bb.ParameterError, match="of has 50 draws"):
        LastLayer(of="bayes-by-backprop")


def test_what_cannot_be_done_is_told_before_the_fit() -> None:
    data = three_classes()
    with pytest.raises(bb.Incompatible, match="not the outputs of a linear layer"):
        last_layer().check(nn.Sequential(nn.Linear(2, 3), nn.Tanh()), data)
    functions = LastLayer(of={"use": "laplace", "weights": "all", "draws": 1, "epochs": 1})
    with pytest.raises(bb.Incompatible, match="not weights of a network"):
        functions.fit(nn.Linear(2, 3), data, seed=0)
