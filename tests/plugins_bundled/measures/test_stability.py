"""The variability of the loss near images, where it is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from failing import Rugged
from known import linear_predictive, small_data

import bnnbench as bb
from bnnbench.measurements.measurement import measurement_of


def stability(predictive: bb.Predictive, data: bb.Data, **parameters: object) -> tuple[dict, dict]:
    measurement = measurement_of(bb.measure("stability", **parameters))
    defence = bb.Defence(predictive, data, bb.Threat(epsilon=0.0, bounds=data.bounds), images=20, draws=None, seed=0)
    (values,) = measurement.run(defence, [], "few")
    return values, measurement.row(values)


def test_a_linear_margin_varies_as_its_slope() -> None:
    """The mean of |u| is a half for u uniform in [-1, 1], and the margin of one input is linear in it."""
    predictive = linear_predictive(np.array([[0.0], [2.0]]), np.array([0.0, -1.0]))
    x = torch.tensor([[0.3], [0.8]])
    data = bb.Data(test=(x, torch.tensor([0, 0])), classes=2)
    values, figures = stability(predictive, data, objective="log-margin", radius=0.01, samples=3000)
    margin = 2 * x[values["index"], 0].numpy() - 1
    assert values["loss"] == pytest.approx(margin, abs=1e-6)
    assert values["variability"] == pytest.approx(0.01 * 2 / 2 / np.abs(margin), rel=0.05)
    assert figures["variability"] == pytest.approx(values["variability"].mean())
    assert figures["unstable_share"] == 0


def test_points_outside_of_the_box_are_clipped() -> None:
    predictive = linear_predictive(np.array([[0.0], [2.0]]), np.array([0.0, -1.0]))
    data = bb.Data(test=(torch.tensor([[1.0]]), torch.tensor([0])), classes=2)
    values, _ = stability(predictive, data, objective="log-margin", radius=0.01, samples=3000)
    assert values["variability"] == pytest.approx([0.01 * 2 / 4], rel=0.1)


def test_a_constant_does_not_vary_and_a_rugged_loss_does() -> None:
    data = small_data(images=20)
    constant = linear_predictive(np.zeros((2, 4)), np.array([0.0, 2.0]))
    assert stability(constant, data)[1]["variability"] == 0
    rugged = bb.Predictive(Rugged(), {"scale": np.array([5.0], "f4")})
    values, figures = stability(rugged, data)
    assert figures["variability"] > 0.5
    assert figures["unstable_share"] == 1
    assert values["variability"].max() <= 1


def test_rounding_of_a_loss_that_is_nearly_zero_is_no_variability() -> None:
    data = small_data(images=20)
    certain = linear_predictive(np.array([[0.0] * 4, [0.1] * 4]), np.array([-16.0, 0.0]))
    data = bb.Data(test=(data.test[0], torch.ones(len(data.test[1]), dtype=torch.long)), bounds=(0, 1))
    values, figures = stability(certain, data)
    assert 0 <= values["loss"].max() < 1e-6
    assert figures["variability"] < 1e-3
