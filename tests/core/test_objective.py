"""Objectives by hand, and directions that do not vanish."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known import OBJECTIVES, random_ensemble, random_inputs
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.core.objective import as_objective


def each_log_probs(predictive: bb.Predictive, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([predictive.logits(x, [draw])[0].log_softmax(-1) for draw in range(len(predictive))])


def plain_gradient(predictive: bb.Predictive, x: torch.Tensor, y: torch.Tensor, name: str) -> torch.Tensor:
    x = x.clone().requires_grad_()
    value = bb.objective(name).value(each_log_probs(predictive, x), y)
    return torch.autograd.grad(value.sum(), x)[0]


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


@settings(max_examples=30)
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


def test_a_subclass_with_a_value_of_its_own_is_followed_by_its_own_gradient() -> None:
    parent = type(bb.objective("predictive-nll"))

    class Opposite(parent):  # type: ignore[misc, valid-type]
        """The attacker helps."""

        def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
            return -super().value(log_probs, y)

    class Unweighted(parent):  # type: ignore[misc, valid-type]
        """Has no weights after all."""

        def log_weight(self, right: Tensor, wrong: Tensor) -> None:
            return None

    predictive = random_ensemble()
    x, y = random_inputs()
    for objective in (Opposite(), Unweighted()):
        cosine = torch.cosine_similarity(predictive.direction(x, y, objective), predictive.gradient(x, y, objective))
        assert torch.allclose(cosine, torch.ones_like(cosine))


@pytest.mark.parametrize("seed", range(10))
def test_the_margin_of_an_ensemble_does_not_saturate(seed: int) -> None:
    """Two draws, each sure by 25 nats of another class: float32 loses the gradient, the direction does not."""
    generator = np.random.default_rng(seed)
    weight, x = generator.normal(size=(2, 3, 8)), generator.uniform(size=8)
    bias = np.array([[25.0, 0, -3], [-1, 25, 0]]) - weight @ x
    network, y = nn.Linear(8, 3), torch.tensor([0])
    single, double = (
        bb.Predictive(network, {"weight": weight.astype(kind), "bias": bias.astype(kind)}) for kind in ("f4", "f8")
    )
    image = torch.as_tensor(x)[None]
    exact = double.gradient(image, y, "log-margin")
    assert 0 < exact.norm() < 1e-9
    direction = single.direction(image.float(), y, "log-margin")
    # The float32 logits themselves are rounded by 1e-6 of 25.
    assert torch.cosine_similarity(direction.double(), exact, dim=1, eps=1e-300) > 0.999
    plain = single.gradient(image.float(), y, "log-margin")
    assert torch.cosine_similarity(plain.double(), exact, dim=1, eps=1e-300) < 0.999


def test_an_objective_is_taken_by_name_instance_or_mapping_and_is_part_of_the_identity() -> None:
    by_name = bb.attack("pgd", objective="log-margin")
    assert by_name == bb.attack("pgd", objective=bb.objective("log-margin"))
    assert by_name == bb.attack("pgd", objective={"use": "log-margin"})
    assert by_name.model_dump()["objective"] == {"use": "bnnbench:log-margin"}
    assert type(by_name)(**by_name.model_dump()) == by_name
    assert by_name.identity() != bb.attack("pgd").identity()
    with pytest.raises(ValueError, match="did you mean 'log-margin'"):
        bb.attack("pgd", objective="log-margn")


def test_a_function_is_no_objective() -> None:
    with pytest.raises(TypeError, match=r"^objective is an objective, such as 'predictive-nll', not a function"):
        as_objective(lambda log_probs, y: log_probs[0, :, 0])  # type: ignore[arg-type]
