"""Planted adversarial inputs: the classifiers in which they are planted, and how often attacks find them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from bnnbench_plugins.measures.readout import Features, Readout, planted
from failing import Backwards, Idle, ensemble, images
from known import linear_predictive

import bnnbench as bb
from bnnbench.measurements.measurement import measurement_of


def binarised(predictive: bb.Predictive, data: bb.Data, **parameters: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The quantities and figures of the measure."""
    measurement = measurement_of(bb.measure("binarisation", **({"inner": 60, "tests": 8} | parameters)))
    defence = bb.Defence(predictive, data, bb.Threat(epsilon=0.0, bounds=data.bounds), images=32, draws=None, seed=0)
    (values,) = measurement.run(defence, [], "few")
    return values, measurement.row(values)


def readout_of(predictive: bb.Predictive, *, closeness: float = 0.9) -> tuple[Readout, torch.Tensor]:
    """A readout on random points in a small ball, of which the last is planted."""
    generator = torch.Generator().manual_seed(0)
    points = 0.5 + 0.1 * (2 * torch.rand(41, 16, generator=generator) - 1)
    made = planted(Features(predictive, range(len(predictive)), points), points, closeness)
    assert made is not None
    return made, points


def test_the_planted_point_alone_has_the_other_class() -> None:
    readout, points = readout_of(ensemble())
    assert readout.log_probs(points).argmax(-1).tolist() == [0] * 40 + [1]
    assert len(readout) == 3


def test_its_prediction_is_the_mean_of_the_draws_with_new_last_layers() -> None:
    predictive = ensemble()
    readout, points = readout_of(predictive)
    hidden = torch.nn.Sequential(*list(predictive.network.children())[:2])
    probabilities = []
    for draw in range(3):
        weights = {name: tensor[draw] for name, tensor in predictive.draws.items() if name.startswith("0.")}
        features = torch.func.functional_call(hidden, weights, (points,))
        logits = features @ readout.draws["weight"][draw].T + readout.draws["bias"][draw]
        assert logits.sum(-1).abs().max() < 1e-5
        probabilities.append(logits.softmax(-1))
    assert torch.allclose(readout.log_probs(points), torch.stack(probabilities).mean(0).log(), atol=1e-6)


def test_the_gradient_goes_through_the_network() -> None:
    readout, points = readout_of(ensemble())
    x = points[:3].double()
    gradient = readout.gradient(x.float(), torch.zeros(3, dtype=torch.long), "predictive-nll").double()
    step = 1e-2 * torch.nn.functional.normalize(gradient, dim=1)
    losses = [-readout.log_probs((x + sign * step).float())[:, 0].double() for sign in (1, -1)]
    assert torch.allclose((losses[0] - losses[1]) / 2e-2, gradient.norm(dim=1), rtol=0.02)


def test_features_are_the_inputs_of_the_last_layer_or_the_logits() -> None:
    predictive, x = ensemble(), torch.rand(5, 16)
    features = Features(predictive, [2], x)
    assert features.layer == "2"
    assert features.of(0, x).shape == (5, 24)
    linear = linear_predictive(np.eye(3, 16), np.zeros(3))
    assert torch.equal(Features(linear, [0], x).of(0, x), x)
    declared = bb.Predictive(predictive.network, predictive.draws, outputs="logits")
    assert torch.equal(Features(declared, [1], x).of(0, x), predictive.logits(x, [1])[0])
    several = bb.predictive([ensemble().network, torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))])
    assert Features(several, [0, 1], x).of(1, x).shape == (5, 3)


def test_points_that_the_features_do_not_tell_apart_give_no_readout() -> None:
    blind = linear_predictive(np.zeros((3, 16)), np.arange(3.0))
    blind = bb.Predictive(torch.nn.Sequential(blind.network, torch.nn.Linear(3, 3)), {
        "0.weight": np.zeros((1, 3, 16), "f4"), "0.bias": np.ones((1, 3), "f4"),
        "1.weight": np.ones((1, 3, 3), "f4"), "1.bias": np.array([[0.0, 1.0, 2.0]], "f4"),
    })  # fmt: skip
    values, figures = binarised(blind, images())
    assert not values["possible"].any()
    assert figures["usable"] == 0
    assert figures["success_rate"] is None


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_attacks_that_work_find_what_is_planted(norm: str) -> None:
    epsilon = {"linf": 0.1, "l2": 0.3, "l1": 1.0}[norm]
    _, figures = binarised(ensemble(), images(), norm=norm, epsilon=epsilon, attack="apgd")
    assert figures["usable"] == figures["tests"] == 8
    assert figures["success_rate"] == 1
    assert figures["success_low"] == pytest.approx(8 / (8 + 1.96**2), abs=1e-3)


@pytest.mark.parametrize("attack", [Idle(), Backwards()])
def test_attacks_that_do_not_work_find_nothing(attack: bb.Attack) -> None:
    assert binarised(ensemble(), images(), attack=attack)[1]["success_rate"] == 0


def test_gradients_that_lead_nowhere_find_little() -> None:
    _, figures = binarised(ensemble(masked=True), images(), attack="pgd", tests=16)
    assert figures["usable"] == 16
    assert figures["success_rate"] < 0.5


def test_random_points_seldom_find_what_is_planted_near_the_boundary() -> None:
    predictive, data = ensemble(inputs=64), images(inputs=64)
    _, near = binarised(predictive, data, tests=16, closeness=0.99, inner=299)
    _, far = binarised(predictive, data, tests=16, closeness=0.0, inner=5)
    assert near["random_rate"] < 0.5 < far["random_rate"]


def test_the_readouts_are_the_same_for_every_attack() -> None:
    one, other = (binarised(ensemble(), images(), attack=attack)[0] for attack in ("pgd", "random-sign"))
    assert np.array_equal(one["random_found"], other["random_found"])
    assert np.array_equal(one["possible"], other["possible"])


def test_two_inputs_are_enough() -> None:
    """In the plane, few points on the surface can be told from those inside; random signs lead to a corner."""
    predictive, data = ensemble(inputs=2, draws=1), images(inputs=2)
    _, figures = binarised(predictive, data, tests=16, epsilon=0.05)
    assert figures["usable"] >= 14
    assert figures["success_rate"] > 0.9


def test_a_model_without_gradient_is_refused() -> None:
    predictive = bb.predictive(lambda x: np.stack([x[:, 0], x[:, 1], x[:, 2]], 1))
    with pytest.raises(bb.GradientRefused):
        binarised(predictive, images())
