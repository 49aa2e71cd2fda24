"""The predictive and its gradients against plain autograd in float64."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known import OBJECTIVES, random_ensemble, random_inputs

import bnnbench as bb
from bnnbench.core import streaming
from bnnbench.core.saving import write_draws


def each_log_probs(predictive: bb.Predictive, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([predictive.logits(x, [draw])[0].log_softmax(-1) for draw in range(len(predictive))])


def plain_gradient(predictive: bb.Predictive, x: torch.Tensor, y: torch.Tensor, name: str) -> torch.Tensor:
    x = x.clone().requires_grad_()
    value = bb.objective(name).value(each_log_probs(predictive, x), y)
    return torch.autograd.grad(value.sum(), x)[0]


def test_the_prediction_is_the_mean_of_the_draws_softmax() -> None:
    predictive = random_ensemble()
    x, _ = random_inputs()
    mean = predictive.logits(x).softmax(-1).mean(0)
    assert torch.allclose(predictive.log_probs(x).exp(), mean, atol=1e-12)
    assert torch.allclose(predictive.as_module()(x).exp().sum(-1), torch.ones(len(x), dtype=x.dtype))


@pytest.mark.parametrize("name", OBJECTIVES)
@settings(max_examples=15, deadline=None)
@given(
    draws=st.integers(1, 9),
    classes=st.integers(2, 5),
    scale=st.sampled_from([0.1, 1.0, 4.0]),
    seed=st.integers(0, 1000),
)
def test_gradient_and_direction_agree_with_autograd(
    name: str, draws: int, classes: int, scale: float, seed: int
) -> None:
    predictive = random_ensemble(draws=draws, classes=classes, scale=scale, seed=seed)
    x, y = random_inputs(classes=classes, seed=seed)
    expected = plain_gradient(predictive, x, y, name)
    assert torch.allclose(predictive.gradient(x, y, name), expected, rtol=1e-8, atol=1e-12)
    direction = predictive.direction(x, y, name)
    # torch's default eps would hide the angle between short gradients.
    cosine = torch.cosine_similarity(direction, expected, dim=1, eps=1e-300)
    # The gradient may be lost to rounding where the direction is not.
    told = expected.norm(dim=1) > 1e-9
    assert torch.allclose(cosine[told], torch.ones_like(cosine[told]), atol=1e-6)


def test_the_expected_loss_gradient_is_the_mean_of_the_draws_gradients() -> None:
    predictive = random_ensemble()
    x, y = random_inputs()
    each = [predictive.gradient(x, y, "expected-loss", draws=[draw]) for draw in range(len(predictive))]
    assert torch.allclose(predictive.gradient(x, y, "expected-loss"), torch.stack(each).mean(0), atol=1e-13)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_chunks_of_images_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    predictive = random_ensemble()
    x, y = random_inputs(images=23)
    whole = [predictive.gradient(x, y, name), predictive.direction(x, y, name), predictive.log_probs(x)]
    monkeypatch.setattr(streaming, "BUDGET", 4000)
    assert len(list(streaming._chunks(predictive, x, range(len(predictive))))) > 3
    parts = [predictive.gradient(x, y, name), predictive.direction(x, y, name), predictive.log_probs(x)]
    for one, other in zip(whole, parts, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_direction_vanishes_where_the_softmax_saturates(name: str) -> None:
    """Margins of about 1000 nats in float32: plain gradients are exactly zero, directions are those of the margin."""
    generator = np.random.default_rng(3)
    weight = 1000 * generator.normal(size=(1, 3, 6))
    network = torch.nn.Linear(6, 3)
    saturated = bb.Predictive(network, {"weight": weight.astype("f4"), "bias": np.zeros((1, 3), "f4")})
    x = torch.rand(50, 6, generator=torch.Generator().manual_seed(0))
    y = saturated.log_probs(x).argmax(-1)
    sure = saturated.log_probs(x).sort(-1).values.diff(dim=-1)[:, -1] > 200
    assert sure.sum() > 10
    assert (plain_gradient(saturated, x, y, "predictive-nll")[sure] == 0).all()
    direction = saturated.direction(x, y, name)
    other = saturated.log_probs(x).scatter(1, y[:, None], -torch.inf).argmax(-1)
    exact = torch.as_tensor((weight[0][other] - weight[0][y]), dtype=torch.float32)
    cosine = torch.cosine_similarity(direction, exact, dim=1)
    assert torch.allclose(cosine[sure], torch.ones(int(sure.sum())), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    draws=st.integers(1, 9),
    classes=st.integers(2, 6),
    scale=st.sampled_from([0.1, 1.0, 10.0]),
    seed=st.integers(0, 999),
)
def test_jensen_orders_the_losses(draws: int, classes: int, scale: float, seed: int) -> None:
    predictive = random_ensemble(draws=draws, classes=classes, scale=scale, seed=seed)
    x, y = random_inputs(classes=classes, seed=seed)
    each = predictive.draw_log_probs(x)
    expected = bb.objective("expected-loss").value(each, y)
    assert (bb.objective("predictive-nll").value(each, y) <= expected + 1e-9).all()
    assert (bb.objective("mean-logit").value(each, y) <= expected + 1e-9).all()


def test_objectives_on_numbers_by_hand() -> None:
    """Two draws with probabilities (0.8, 0.1, 0.1) and (0.2, 0.6, 0.2), label 0."""
    log_probs = torch.tensor([[[0.8, 0.1, 0.1]], [[0.2, 0.6, 0.2]]], dtype=torch.float64).log()
    y = torch.tensor([0])
    value = {name: bb.objective(name).value(log_probs, y).item() for name in OBJECTIVES}
    assert value["predictive-nll"] == pytest.approx(-math.log(0.5))
    assert value["expected-loss"] == pytest.approx(-(math.log(0.8) + math.log(0.2)) / 2)
    assert value["log-margin"] == pytest.approx(math.log(0.35) - math.log(0.5))
    roots = [math.sqrt(0.16), math.sqrt(0.06), math.sqrt(0.02)]
    assert value["mean-logit"] == pytest.approx(-math.log(roots[0] / sum(roots)))
    assert value["mean-logit-margin"] == pytest.approx(math.log(roots[1]) - math.log(roots[0]))


def test_wrong_draws_are_named() -> None:
    network = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match="no draws of the network's weights bias"):
        bb.Predictive(network, {"weight": np.zeros((3, 2, 2))})
    with pytest.raises(ValueError, match="extra"):
        bb.Predictive(network, {"weight": np.zeros((3, 2, 2)), "bias": np.zeros((3, 2)), "extra": np.zeros((3, 1))})
    with pytest.raises(ValueError, match=r"weight have shape \(2, 3\)"):
        bb.Predictive(network, {"weight": np.zeros((3, 2, 3)), "bias": np.zeros((3, 2))})
    with pytest.raises(ValueError, match="same"):
        bb.Predictive(network, {"weight": np.zeros((3, 2, 2)), "bias": np.zeros((4, 2))})


def test_saved_predictives_load_to_the_same_answers(tmp_path: object) -> None:
    x, y = np.zeros((4, 3), "f4"), np.array([0, 1, 1, 0])
    data = bb.Data(train=(x, y), test=(x, y))
    network = bb.network("fc", hidden=(5,)).build(data)
    generator = np.random.default_rng(0)
    # Transposed on purpose: safetensors silently corrupts arrays that are not contiguous.
    arrays = {
        name: np.moveaxis(generator.normal(size=(*tensor.shape, 6)), -1, 0).astype("f4", order="K")
        for name, tensor in network.state_dict().items()
    }
    predictive = bb.Predictive(network, arrays)
    predictive.save(f"{tmp_path}/p.safetensors")
    loaded = bb.load(f"{tmp_path}/p.safetensors")
    points = torch.rand(9, 3)
    assert torch.equal(predictive.logits(points), loaded.logits(points))


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        ({"posterior": {"use": "saved", "parameters": {"path": "/etc/passwd"}}}, "posterior saved, which reads files"),
        ({"posterior": {"use": "sgd", "parameters": {"epoch": 1}}}, "did you mean 'epochs'"),
        ({"posterior": {"parameters": {}}}, "cannot be made"),
        ({"network": {"use": "fc", "parameters": {}}, "shape": [2]}, "recipe of its network cannot be followed"),
    ],
)
def test_a_file_of_draws_with_a_wrong_recipe_is_refused(tmp_path: Path, recipe: dict, reason: str) -> None:
    write_draws(tmp_path / "crafted", bb.Draws({"weight": np.ones((1, 1, 2, 2))}), recipe)
    with pytest.raises(bb.StoreError, match=rf"crafted.*{reason}"):
        bb.load(tmp_path / "crafted", None if "network" in recipe else torch.nn.Linear(2, 2))


def test_a_network_of_ones_own_is_asked_for_when_loading(tmp_path: object) -> None:
    network = torch.nn.Linear(2, 2)
    predictive = bb.Predictive(network, {"weight": np.ones((3, 2, 2), "f4"), "bias": np.zeros((3, 2), "f4")})
    predictive.save(f"{tmp_path}/p.safetensors")
    with pytest.raises(bb.StoreError, match=r"load\(path, network\)"):
        bb.load(f"{tmp_path}/p.safetensors")
    assert torch.equal(bb.load(f"{tmp_path}/p.safetensors", network).draws["weight"], predictive.draws["weight"])


def test_draws_of_an_ensemble_leave_the_network_alone() -> None:
    network = torch.nn.Linear(2, 2)
    before = network.weight.clone()
    predictive = bb.Predictive(network, {"weight": np.ones((3, 2, 2), "f4"), "bias": np.zeros((3, 2), "f4")})
    predictive.direction(torch.rand(4, 2), torch.zeros(4, dtype=torch.long), "predictive-nll")
    assert torch.equal(network.weight, before)
    assert network.weight.requires_grad
    assert network.weight.grad is None
