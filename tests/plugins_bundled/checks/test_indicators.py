"""P2 and P5: indicators of Pintor et al. (2022) that no other check is."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from cases import looked
from failing import Rugged
from known import linear_predictive, random_ensemble, random_inputs, small_data

import bnnbench as bb


def test_p2_fires_on_a_rugged_loss_and_not_on_a_linear_one() -> None:
    data = small_data(images=30)
    rugged = bb.Predictive(Rugged(), {"scale": np.array([5.0], "f4")})
    found = looked(bb.check("unstable"), rugged, data, 0.1)
    assert found.fired
    assert found.figure > 0.5 > found.threshold == 0.1
    sound = linear_predictive(np.array([[0.0] * 4, [3.0, -2.0, 1.0, 0.5]]), np.zeros(2))
    assert not looked(bb.check("unstable"), sound, data, 0.1).fired
    assert looked(bb.check("unstable", variability=1e-6), sound, data, 0.1).fired


class OnSurrogate(bb.Attack):
    """Moves along the slope of another linear classifier, and records whether that is broken."""

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"transfer", "iterative"})

    slope: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    offset: float = -2.0
    records: bool = True

    def perturb(
        self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: object
    ) -> torch.Tensor:
        slope = torch.tensor(self.slope)
        moved = threat.project(x, x - threat.epsilon * (2 * y[:, None] - 1) * slope.sign())
        if self.records:
            victim.record("surrogate_broken", (((moved @ slope + self.offset) > 0).long() != y).float())
        return moved


def linear(slope: list[float], offset: float) -> tuple[bb.Predictive, bb.Data]:
    """A classifier of two classes by the sign of a linear function, and points that it classifies correctly."""
    x = torch.from_numpy(np.random.default_rng(0).uniform(0.2, 0.8, (40, 4)).astype("f4"))
    y = (x @ torch.tensor(slope) + offset > 0).long()
    return linear_predictive(np.array([[0.0] * 4, slope]), np.array([0.0, offset])), bb.Data(test=(x, y), classes=2)


def test_p5_fires_if_inputs_break_the_surrogate_alone() -> None:
    predictive, data = linear([2.0, -2.0, 0.0, 0.0], 0.0)
    found = looked(bb.check("surrogate-failure"), predictive, data, 0.15, OnSurrogate())
    assert found.fired
    assert found.figure > 5


def test_p5_does_not_fire_if_the_surrogate_is_the_model() -> None:
    predictive, data = linear([1.0, 1.0, 1.0, 1.0], -2.0)
    found = looked(bb.check("surrogate-failure"), predictive, data, 0.1, OnSurrogate())
    assert not found.fired
    assert found.figure == 0


def test_p5_leaves_alone_a_number_that_does_not_rest_on_a_surrogate() -> None:
    predictive, data = linear([2.0, -2.0, 0.0, 0.0], 0.0)
    with pytest.raises(bb.NotApplicable, match="on the predictive itself"):
        looked(bb.check("surrogate-failure"), predictive, data, 0.15, OnSurrogate(), "pgd")
    with pytest.raises(bb.NotApplicable, match="no attack on a surrogate"):
        looked(bb.check("surrogate-failure"), predictive, data, 0.15, "random-sign")
    with pytest.raises(bb.NotApplicable, match="has recorded"):
        looked(bb.check("surrogate-failure"), predictive, data, 0.15, OnSurrogate(records=False))


def test_p5_reads_what_the_bundled_transfer_records() -> None:
    """The mean of random weights is another classifier than the mean of their predictions."""
    predictive, (x, _) = random_ensemble(scale=2.0), random_inputs(images=50)
    data = bb.Data(test=(x, predictive.log_probs(x).argmax(-1)), classes=3)
    found = looked(bb.check("surrogate-failure"), predictive, data, 0.05, "transfer")
    outcome = bb.evaluate(predictive, bb.attack("transfer"), data, epsilon=0.05, images=50)
    broken = outcome.steps["surrogate_broken"][0].astype(bool)
    assert found.figure == (broken & outcome.robust).sum() > 5
    assert found.fired
