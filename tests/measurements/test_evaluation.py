"""`evaluate`: the box of a threat, and what an outcome says of itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bnnbench as bb

WIDE = (-10.0, 10.0)


def problem(bounds: tuple[float, float] = WIDE) -> tuple[bb.Predictive, bb.Data]:
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 4), dtype="float32"), rng.integers(0, 3, 60)
    weight = rng.normal(size=(1, 3, 4)).astype("f4")
    predictive = bb.Predictive(torch.nn.Linear(4, 3), {"weight": weight, "bias": np.zeros((1, 3), "f4")})
    return predictive, bb.Data(train=(x, y), test=(x, y), bounds=bounds)


def test_a_threat_takes_the_box_of_the_data() -> None:
    predictive, data = problem()
    asked = bb.evaluate(predictive, bb.attack("fgsm"), data, epsilon=0.5)
    whole = bb.evaluate(predictive, bb.attack("fgsm"), data, threat=bb.Threat(epsilon=0.5))
    assert np.array_equal(asked.inputs, whole.inputs)
    assert asked.inputs.min() < 0
    assert whole.threat is not None
    assert whole.threat.bounds == WIDE


def test_a_threat_with_another_box_is_refused() -> None:
    predictive, data = problem()
    with pytest.raises(ValueError, match=r"the threat's box is \[0, 1\], the data's is \[-10, 10\]"):
        bb.evaluate(predictive, bb.attack("fgsm"), data, threat=bb.Threat(epsilon=0.5, bounds=(0, 1)))
    same = bb.evaluate(predictive, bb.attack("fgsm"), data, threat=bb.Threat(epsilon=0.5, bounds=WIDE))
    assert len(same) == 60


def test_without_data_the_box_is_the_unit_box() -> None:
    predictive, data = problem(bounds=(0.0, 1.0))
    x, y = data.test
    made = bb.attack("fgsm")(predictive, x, y, bb.Threat(epsilon=0.5))
    assert made.min() >= 0
    assert made.max() <= 1


def test_an_attack_sees_the_box_in_its_threat() -> None:
    class Corner(bb.Attack):
        """The lowest corner of the box, where the ball allows it."""

        def perturb(self, victim, x, y, threat, rng):  # type: ignore[no-untyped-def]
            return threat.project(x, torch.full_like(x, threat.bounds[0]))

    predictive, data = problem()
    assert bb.evaluate(predictive, Corner(), data, epsilon=20.0, allow_whole_box=True).inputs.max() == -10
    x, y = data.test
    assert Corner()(predictive, x, y, bb.Threat(epsilon=20.0)).max() == 0


def test_an_outcome_knows_its_threat_goal_and_queries() -> None:
    predictive, data = problem()
    outcome = bb.evaluate(predictive, bb.attack("pgd", steps=3), data, epsilon=0.1)
    assert outcome.threat == bb.Threat(epsilon=0.1, bounds=WIDE)
    assert outcome.attack == "ProjectedGradient"
    assert outcome.passes.tolist() == [4.0] * 60
    assert outcome.gradient_passes is not None
    assert outcome.gradient_passes.tolist() == [3.0] * 60
    assert np.array_equal(outcome.robust, outcome.clean_correct & ~outcome.broken)
