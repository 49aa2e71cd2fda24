"""Functions that give scores without gradient: a random forest, a remote model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from known import small_data
from sklearn.ensemble import RandomForestClassifier
from torch import nn

import bnnbench as bb

DATA = small_data(inputs=4, classes=3)
X, Y = DATA.test
WEIGHT = np.random.default_rng(0).normal(size=(4, 3)).astype("f4")
RANDOM = bb.attack("random-sign", tries=3)


def linear(x: Any) -> np.ndarray:
    """Takes arrays alone."""
    assert isinstance(x, np.ndarray)
    assert x.dtype == np.float32
    return x @ WEIGHT


def of_tensors(x: torch.Tensor) -> torch.Tensor:
    return x.float() @ torch.from_numpy(WEIGHT)


@pytest.mark.parametrize(
    "function",
    [
        linear,
        of_tensors,
        lambda x: linear(x).tolist(),
        lambda x: torch.tensor(linear(x)),
        lambda x: linear(x).astype("f8"),
    ],
    ids=["arrays", "tensors", "lists", "array to tensor", "double"],
)
def test_a_function_of_arrays_or_tensors_is_a_predictive_without_gradient(function: Callable[[Any], Any]) -> None:
    predictive = bb.predictive(function)
    assert np.allclose(predictive.logits(X)[0], X.numpy() @ WEIGHT, atol=1e-5)
    outcome = bb.evaluate(function, RANDOM, DATA, epsilon=[0.05, 0.3])[1]
    assert outcome.zero_gradient is None
    assert outcome.zero_gradient_share is None
    assert outcome.gradient_passes is not None
    assert outcome.gradient_passes.max() == 0
    assert bb.posterior_card(function, DATA)["level"] == "single"
    for ask in (
        lambda: bb.evaluate(function, bb.attack("pgd"), DATA, epsilon=0.1),
        lambda: bb.attack("fgsm")(function, X, Y, bb.Threat(epsilon=0.1)),
        lambda: predictive.gradient(X, Y, "predictive-nll"),
        lambda: predictive.direction(X, Y, "log-margin"),
    ):
        with pytest.raises(bb.GradientRefused, match=r"^the predictive gives no gradient") as error:
            ask()
        assert "\n" not in str(error.value)


def test_an_attack_that_differentiates_logits_itself_is_told_too() -> None:
    class Own(bb.Attack):
        """Follows a gradient of its own."""

        def perturb(self, victim, x, y, threat, rng):  # type: ignore[no-untyped-def]
            x = x.clone().requires_grad_()
            victim.logits(x).sum().backward()
            return threat.project(x, x + x.grad)

    with pytest.raises(bb.GradientRefused, match="gives no gradient"):
        Own()(linear, X, Y, bb.Threat(epsilon=0.1))


class Quantised(nn.Module):
    """A defence that cannot be differentiated."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = (4 * x).round() / 4
        return self.layer(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("models", [Quantised(), [Quantised(0), Quantised(1)], [Quantised(), nn.Linear(4, 3)]])
def test_networks_that_give_no_gradient_are_attacked_by_scores_and_at_random(models: Any) -> None:
    """If one network of an ensemble gives none, the gradient of the others would be that of another ensemble."""
    outcome = bb.evaluate(models, RANDOM, DATA, threat=bb.Threat(epsilon=0.1, access="scores"))
    assert outcome.zero_gradient is None
    assert "!" not in [finding.mark for finding in outcome.findings]
    with pytest.raises(bb.GradientRefused, match="gives no gradient"):
        bb.evaluate(models, bb.attack("fgsm"), DATA, epsilon=0.1)


def test_ensembles_without_gradient_have_a_card() -> None:
    snapshots = bb.predictive([Quantised(seed) for seed in range(10)], independent=False)
    assert bb.posterior_card(snapshots, DATA)["ess"] is not None
    functions = [lambda x, shift=shift: linear(x) + shift for shift in range(3)]
    assert bb.posterior_card(functions, DATA)["level"] == "independent"


def test_a_random_forest_says_zero_for_classes_that_no_tree_votes_for() -> None:
    forest = RandomForestClassifier(5, random_state=0).fit(*(part.numpy() for part in DATA.train))
    with np.errstate(divide="ignore"):
        expected = forest.predict_proba(X.numpy())
        assert expected.min() == 0
        for outputs, method in (("log-probabilities", "predict_log_proba"), ("probabilities", "predict_proba")):
            predictive = bb.predictive(getattr(forest, method), outputs=outputs)
            log_probs = predictive.log_probs(X)
            assert log_probs.isfinite().all()
            assert np.allclose(log_probs.exp(), expected, atol=1e-6)
            outcome = bb.evaluate(predictive, RANDOM, DATA, epsilon=0.2)
            assert outcome.clean_accuracy == pytest.approx((expected.argmax(1) == Y.numpy()).mean())
    with pytest.raises(TypeError, match=r"model\.predict_log_proba, outputs='log-probabilities'"):
        bb.evaluate(forest, RANDOM, DATA, epsilon=0.2)
    with pytest.raises(bb.NetworkError, match="look like predicted labels"):
        bb.evaluate(forest.predict, RANDOM, DATA, epsilon=0.2)
    with pytest.raises(bb.NetworkError, match="returns probabilities, not logits"):
        bb.evaluate(forest.predict_proba, RANDOM, DATA, epsilon=0.2)


def test_a_function_that_works_in_place_or_fails() -> None:
    def in_place(x: np.ndarray) -> np.ndarray:
        x -= 0.5
        return linear(x)

    before = X.clone()
    bb.evaluate(in_place, RANDOM, DATA, epsilon=0.1)
    assert torch.equal(X, before)

    def absent(x: np.ndarray) -> np.ndarray:
        raise ConnectionError("no route to the model")

    with pytest.raises(ConnectionError, match="no route"):
        bb.evaluate(absent, RANDOM, DATA, epsilon=0.1)
    with pytest.raises(bb.NetworkError, match=r"cannot be evaluated at inputs of shape \(4, 4\): ValueError: matmul"):
        bb.evaluate(lambda x: x @ np.zeros((5, 3)), RANDOM, DATA, epsilon=0.1)
    with pytest.raises(bb.NetworkError, match="returns nothing, not one array of scores"):
        bb.evaluate(lambda x: None, RANDOM, DATA, epsilon=0.1)
    with pytest.raises(bb.NetworkError, match="different numbers of classes: 3, 2"):
        bb.evaluate([linear, lambda x: linear(x)[:, :2]], RANDOM, DATA, epsilon=0.1)


def test_a_model_is_asked_for_arrays_once() -> None:
    asked = []

    def counting(x: Any) -> torch.Tensor:
        asked.append(type(x))
        return of_tensors(x)

    bb.evaluate(counting, RANDOM, DATA, epsilon=0.1)
    assert asked[0] is np.ndarray
    assert set(asked[1:]) == {torch.Tensor}
