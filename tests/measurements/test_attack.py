"""Outcomes of attacks: robustness, zero gradients, and wrong arguments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from known import linear_predictive, random_ensemble, small_data
from torch import Tensor

import bnnbench as bb


def test_what_the_plain_gradient_loses_is_counted() -> None:
    """Margins of hundreds of nats: float32 autograd gives exactly zero, and the attack's direction does not."""
    data = small_data(images=40)
    generator = np.random.default_rng(0)
    sure = linear_predictive(3e4 * generator.normal(size=(2, 4)), np.zeros(2))
    outcome = bb.evaluate(sure, bb.attack("fgsm"), data, epsilon=0.05)
    assert outcome.zero_gradient_share > 0.3
    assert outcome.zero_direction_share == 0
    dead = linear_predictive(np.zeros((2, 4)), np.zeros(2))
    outcome = bb.evaluate(dead, bb.attack("fgsm"), data, epsilon=0.05)
    assert outcome.zero_direction_share == 1


def test_the_hosts_gradient_mode_does_not_matter() -> None:
    predictive, data = random_ensemble(inputs=4, classes=2), small_data()
    for name in ("predictive-nll", "log-margin"):
        attack = bb.attack("pgd", steps=2, objective=name)
        expected = bb.evaluate(predictive, attack, data, epsilon=0.1)
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                found = bb.evaluate(predictive, attack, data, epsilon=0.1)
            assert np.array_equal(found.attacked_log_probs, expected.attacked_log_probs)


def test_a_share_of_zero_directions_is_known_of_all_images_or_not_said() -> None:
    class Halves(bb.Attack):
        """Asks about one half, saying which or not."""

        named: bool = True

        def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
            for half in torch.arange(len(x)).chunk(2):
                asked = victim.among(half) if self.named else victim
                asked.gradient(x[half], y[half], "predictive-nll")
            return x

    dead = linear_predictive(np.zeros((2, 4)), np.zeros(2))
    data = small_data()
    assert bb.evaluate(dead, Halves(), data, epsilon=0.1).zero_direction_share == 1
    assert bb.evaluate(dead, Halves(named=False), data, epsilon=0.1).zero_direction_share is None


def test_wrong_arguments_of_evaluate_are_named() -> None:
    predictive, data = random_ensemble(inputs=4, classes=2), small_data()
    attack = bb.attack("fgsm")
    with pytest.raises(TypeError, match=r"bnnbench\.attack"):
        bb.evaluate(predictive, "pgd", data, epsilon=0.1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"epsilon is a radius, such as .*, not None"):
        bb.evaluate(predictive, attack, data, epsilon=[None])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"threat is a bnnbench\.Threat, .* not 0\.1"):
        bb.evaluate(predictive, attack, data, threat=0.1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="epsilon is a radius, not a Threat; give it as threat="):
        bb.evaluate(predictive, attack, data, epsilon=bb.Threat(epsilon=0.1))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="either epsilon=, a radius, or threat="):
        bb.evaluate(predictive, attack, data)
    with pytest.raises(TypeError, match=r"evaluate has no argument 'epsilons'; did you mean 'epsilon'\?"):
        bb.evaluate(predictive, attack, data, epsilons=0.1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="allow_whole_box is True or False, not 'no'"):
        bb.evaluate(predictive, attack, data, epsilon=8, allow_whole_box="no")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="holds the whole box"):
        bb.evaluate(predictive, attack, data, epsilon=[0.1, 8])
    with pytest.raises(ValueError, match="images is at least 1"):
        bb.evaluate(predictive, attack, data, epsilon=0.1, images=-1)
    with pytest.raises(bb.ContractBreach, match="2 classes, but there are labels up to 4"):
        bb.evaluate(predictive, attack, small_data(classes=5), epsilon=0.1)
    with pytest.raises(ValueError, match="no draws"):
        bb.Draws({"weight": np.zeros((1, 0, 2, 2))})
    assert len(repr(bb.evaluate(predictive, attack, data, epsilon=0.1))) < 200


def test_a_network_that_is_never_attacked_is_wholly_robust() -> None:
    data = small_data()
    predictive = linear_predictive(np.random.default_rng(0).normal(size=(2, 4)), np.zeros(2))
    for name in ("fgsm", "pgd", "random-sign"):
        outcome = bb.evaluate(predictive, bb.attack(name), data, epsilon=0.0)
        assert outcome.softmax_robustness == 1.0
        assert outcome.robust_accuracy == outcome.clean_accuracy == outcome.attacked_accuracy


def test_noise_that_repairs_a_clean_error_is_not_robustness() -> None:
    """All labels wrong at x: nothing can be robust, however many are right once attacked."""
    predictive = linear_predictive(np.array([[5.0], [-5.0]]), np.array([-2.5, 2.5]))
    x = np.full((40, 1), 0.49, "f4")
    y = np.zeros(40, int)
    data = bb.Data(train=(x, y), test=(x, y), classes=2)
    outcome = bb.evaluate(predictive, bb.attack("random-sign"), data, epsilon=0.1)
    assert outcome.clean_accuracy == 0
    assert outcome.robust_accuracy == 0
    assert 0 < outcome.attacked_accuracy < 1
