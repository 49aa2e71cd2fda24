"""The margin of one class, and the difference of logits ratio."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from bnnbench_plugins.objectives.margins import TargetMargin, targets_with_labels
from hypothesis import given, settings
from hypothesis import strategies as st
from known import linear_predictive, random_ensemble, random_inputs

import bnnbench as bb
from bnnbench.core.ensemble import maths

MARGINS: dict[str, dict[str, Any]] = {"class-margin": {"target": 1}, "dlr": {}}


def by_hand() -> torch.Tensor:
    """Two draws with the mean (0.5, 0.3, 0.15, 0.05), as log-probabilities (2, 1, 4)."""
    draws = [[[0.8, 0.1, 0.05, 0.05]], [[0.2, 0.5, 0.25, 0.05]]]
    return torch.tensor(draws, dtype=torch.float64).log()


@pytest.mark.parametrize(("target", "exact"), [(0, 0.0), (1, 0.3 / 0.5), (2, 0.15 / 0.5), (3, 0.05 / 0.5)])
def test_the_margin_of_a_class_by_hand(target: int, exact: float) -> None:
    value = bb.objective("class-margin", target=target).value(by_hand(), torch.tensor([0]))
    assert value.item() == pytest.approx(math.log(exact) if exact else 0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("label", "exact"),
    [
        (0, math.log(0.3 / 0.5) / math.log(0.5 / 0.15)),
        (1, math.log(0.5 / 0.3) / math.log(0.5 / 0.15)),
        (3, math.log(0.5 / 0.05) / math.log(0.5 / 0.15)),
    ],
)
def test_the_difference_of_logits_ratio_by_hand(label: int, exact: float) -> None:
    assert bb.objective("dlr").value(by_hand(), torch.tensor([label])).item() == pytest.approx(exact)


def test_the_ratio_of_one_draw_does_not_change_with_the_scale_of_its_logits() -> None:
    x, y = random_inputs()
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(3, 5)), generator.normal(size=3)
    one, steep = (linear_predictive(factor * weight, factor * bias) for factor in (1.0, 50.0))
    ratio, of_steep = (bb.objective("dlr").value(p.draw_log_probs(x.float()), y) for p in (one, steep))
    assert torch.allclose(ratio, of_steep, rtol=1e-4)
    assert ratio.abs().min() > 1e-3


@pytest.mark.parametrize("name", MARGINS)
@settings(max_examples=20)
@given(
    draws=st.integers(1, 9),
    classes=st.integers(3, 5),
    scale=st.sampled_from([0.1, 1.0, 4.0]),
    seed=st.integers(0, 1000),
)
def test_the_gradient_is_autograds_and_the_direction_is_parallel_to_it(
    name: str, draws: int, classes: int, scale: float, seed: int
) -> None:
    objective = bb.objective(name, **MARGINS[name])
    predictive = random_ensemble(draws=draws, classes=classes, scale=scale, seed=seed)
    x, y = random_inputs(classes=classes, seed=seed)
    leaf = x.clone().requires_grad_()
    each = torch.stack([predictive.logits(leaf, [draw])[0].log_softmax(-1) for draw in range(draws)])
    (expected,) = torch.autograd.grad(objective.value(each, y).sum(), leaf)
    found = predictive.gradient(x, y, objective)
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-10 * max(1.0, float(expected.abs().max())))
    told = expected.norm(dim=1) > 1e-9
    cosine = torch.cosine_similarity(predictive.direction(x, y, objective), expected, dim=1, eps=1e-300)
    assert torch.allclose(cosine[told], torch.ones_like(cosine[told]), atol=1e-6)


def test_where_the_class_is_the_label_the_margin_and_its_direction_are_zero() -> None:
    predictive, (x, _) = random_ensemble(), random_inputs()
    label, objective = torch.full((len(x),), 2), bb.objective("class-margin", target=2)
    assert (objective.value(predictive.draw_log_probs(x), label) == 0).all()
    assert predictive.direction(x, label, objective).abs().max() < 1e-12
    assert (predictive.direction(x, label - 1, objective).flatten(1).norm(dim=1) > 0).all()


def test_the_largest_margin_of_a_class_is_the_log_margin() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs()
    each = predictive.draw_log_probs(x)
    margins = torch.stack([bb.objective("class-margin", target=k).value(each, y) for k in range(3)])
    others = margins.masked_fill(torch.nn.functional.one_hot(y, 3).T.bool(), -torch.inf)
    assert torch.allclose(others.amax(0), bb.objective("log-margin").value(each, y))


def test_a_saturated_network_is_followed_towards_the_class() -> None:
    """Margins of about 1000 nats: the direction is the difference of the weights."""
    generator = np.random.default_rng(3)
    weight = 1000 * generator.normal(size=(3, 6))
    x, y = torch.rand(50, 6, generator=torch.Generator().manual_seed(0)), torch.zeros(50, dtype=torch.long)
    saturated = linear_predictive(weight, np.zeros(3))
    exact = torch.as_tensor(weight[2] - weight[0], dtype=torch.float32).expand_as(x)
    direction = saturated.direction(x, y, bb.objective("class-margin", target=2))
    assert torch.allclose(torch.cosine_similarity(direction, exact), torch.ones(50), atol=1e-5)


def test_what_the_classes_do_not_allow_is_incompatible() -> None:
    predictive, (x, y) = random_ensemble(classes=2), random_inputs(classes=2)
    with pytest.raises(bb.Incompatible, match="three classes or more, and there are 2"):
        predictive.gradient(x, y, "dlr")
    with pytest.raises(bb.Incompatible, match="the target 2, but there are 2 classes"):
        predictive.direction(x, y, bb.objective("class-margin", target=2))


@settings(max_examples=30)
@given(classes=st.integers(2, 6), seed=st.integers(0, 1000), scale=st.sampled_from([1.0, 10.0]))
def test_targets_of_each_image_give_the_margin_of_that_class(classes: int, seed: int, scale: float) -> None:
    predictive = random_ensemble(classes=classes, scale=scale, seed=seed)
    x, y = random_inputs(classes=classes, seed=seed)
    log_probs = predictive.draw_log_probs(x)
    target = torch.randint(classes, (len(x),), generator=torch.Generator().manual_seed(seed))
    aims = targets_with_labels(target[:, None], y, classes)[:, 0]
    _, value, direction = maths.probe(predictive, x, aims, TargetMargin(), range(len(predictive)))
    for k in range(classes):
        mine, aim = target == k, bb.objective("class-margin", target=k)
        assert torch.allclose(value[mine], aim.value(log_probs, y)[mine])
        assert torch.allclose(direction[mine], predictive.direction(x, y, aim)[mine], rtol=1e-9, atol=1e-12)
