"""What attackers may want, and that attacks reach it where the best result is known exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from attacks import NAMES, quick
from known import linear_predictive, random_ensemble, random_inputs

import bnnbench as bb
from bnnbench.core.followed import UncertaintyObjective
from bnnbench.core.goal import Targeted

UNCERTAIN = ("raise-uncertainty", "lower-uncertainty")
GRADIENT_ATTACKS = ("pgd", "apgd", "fgsm", "mi-fgsm")


def two_classes(
    *, images: int = 40, inputs: int = 6, scale: float = 1.0
) -> tuple[bb.Predictive, torch.Tensor, torch.Tensor, np.ndarray]:
    """A linear classifier of two classes, inputs far from the ends of the box, labels, and the logits' difference."""
    generator = np.random.default_rng(3)
    slope = scale * generator.normal(size=inputs)
    weight, bias = np.stack([0 * slope, slope]), np.array([0.0, -0.5 * slope.sum()])
    x = generator.uniform(0.3, 0.7, (images, inputs)).astype("f4")
    difference = x @ slope + bias[1]
    return linear_predictive(weight, bias), torch.from_numpy(x), torch.from_numpy((difference > 0).astype(int)), slope


def entropy_of(margin: np.ndarray) -> np.ndarray:
    """The entropy in nats of two classes whose logits differ by a margin."""
    p = 1 / (1 + np.exp(-np.abs(margin)))
    return np.asarray(-p * np.log(p) - (1 - p) * np.log1p(-p))


def entropy_at(predictive: bb.Predictive, x: torch.Tensor) -> np.ndarray:
    log_probs = predictive.log_probs(x)
    return np.asarray(-(log_probs.exp() * log_probs).sum(-1).numpy())


@pytest.mark.parametrize("name", [one for one in NAMES if "targeted" in quick(one).goals])
def test_with_two_classes_the_other_class_is_the_only_target(name: str) -> None:
    predictive, x, y, _ = two_classes()
    norm: Any = "l2" if name == "carlini-wagner" else "linf"
    reached = {}
    for goal in ("untargeted", "targeted"):
        threat = bb.Threat(epsilon=0.1, norm=norm, goal=goal)
        reached[goal] = quick(name).run(predictive, x, y, threat).success
    assert reached["untargeted"].any()
    if name == "substitute":  # It is trained on decisions, and its training is its own under each goal.
        assert reached["targeted"].any()
    else:
        assert np.array_equal(reached["untargeted"], reached["targeted"])


@pytest.mark.parametrize("name", ["pgd", "apgd", "fmn"])
def test_a_target_is_reached_wherever_the_ball_holds_it(name: str) -> None:
    """Whether a linear classifier of three classes can be led to the target is a linear programme."""
    generator = np.random.default_rng(1)
    weight, bias = generator.normal(size=(3, 8)), np.zeros(3)
    bias -= 0.5 * weight.sum(1)
    predictive = linear_predictive(weight, bias)
    x = torch.from_numpy(generator.uniform(0.3, 0.7, (60, 8)).astype("f4"))
    y = predictive.log_probs(x).argmax(-1)
    told = bb.attack(name, **({"steps": 100, "objective": "log-margin"} if name != "fmn" else {})).run(
        predictive, x, y, bb.Threat(epsilon=0.04, goal="targeted", target=2)
    )
    targets = np.where(y == 2, 0, 2)
    assert (predictive.log_probs(told.inputs).argmax(-1).numpy() == targets)[told.success].all()
    grid = [_can_reach(weight, bias, x[place].numpy(), int(targets[place]), 0.04) for place in range(len(x))]
    assert 5 < sum(grid) < 55
    assert (told.success <= grid).all()
    # Near to where two other classes meet, sign steps turn between two corners.
    assert sum(grid) - told.success.sum() <= (0 if name == "fmn" else 1)


def _can_reach(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, target: int, epsilon: float) -> bool:
    """Whether some input of the linf ball is classified as the target: a linear programme."""
    from scipy.optimize import linprog

    others = [k for k in range(len(weight)) if k != target]
    # Maximise t subject to (w_target - w_k) z + b_target - b_k >= t for all other classes k.
    rows = np.stack([np.append(weight[k] - weight[target], 1.0) for k in others])
    right = np.array([bias[target] - bias[k] for k in others])
    bounds = [*((value - epsilon, value + epsilon) for value in x), (None, None)]
    found = linprog(np.append(np.zeros(len(x)), -1.0), rows, right, bounds=bounds)
    assert abs(found.fun) > 1e-4, "too near to the boundary to tell"
    return bool(-found.fun > 0)


@pytest.mark.parametrize("name", GRADIENT_ATTACKS)
def test_the_entropy_is_lowered_to_its_least_value_in_the_ball(name: str) -> None:
    """The margin of a linear classifier grows by epsilon times the l1 norm of the slope at most."""
    predictive, x, y, slope = two_classes()
    threat = bb.Threat(epsilon=0.05, goal="lower-uncertainty", keep_label=True)
    found = bb.attack(name)(predictive, x, y, threat)
    margin = np.abs((x.double().numpy() - 0.5) @ slope) + 0.05 * np.abs(slope).sum()
    assert entropy_at(predictive, found) == pytest.approx(entropy_of(margin), abs=1e-5)


@pytest.mark.parametrize("name", ["pgd", "apgd"])
@pytest.mark.parametrize("keep_label", [False, True])
def test_the_entropy_is_raised_to_its_largest_value_in_the_ball(name: str, keep_label: bool) -> None:
    """The largest entropy is that of the boundary where the ball reaches it, which no input of the label surpasses."""
    predictive, x, y, slope = two_classes()
    threat = bb.Threat(epsilon=0.02, goal="raise-uncertainty", keep_label=keep_label)
    found = bb.attack(name, steps=100)(predictive, x, y, threat)
    margin = np.clip(np.abs((x.double().numpy() - 0.5) @ slope) - 0.02 * np.abs(slope).sum(), 0, None)
    assert entropy_at(predictive, found) == pytest.approx(entropy_of(margin), abs=2e-3)
    if keep_label:
        assert (predictive.log_probs(found).argmax(-1) == y).all()


def test_an_error_that_is_accepted_is_wrong_and_certain() -> None:
    predictive, x, y, _ = two_classes(scale=6.0)
    data = bb.Data(test=(x, y))
    outcome = bb.evaluate(predictive, bb.attack("pgd"), data, threat=bb.Threat(0.15, goal="lower-uncertainty"))
    wrong = ~outcome.attacked_correct
    certain = entropy_at(predictive, torch.from_numpy(outcome.inputs)) <= math.log(2) / 2
    assert np.array_equal(outcome.broken[:16], (wrong[:16] & certain))
    assert 0 < outcome.broken.sum() < len(outcome)
    assert (outcome.robust == ~outcome.broken).all()


@pytest.mark.parametrize("goal", UNCERTAIN)
@pytest.mark.parametrize("score", ["entropy", "mutual-information"])
@pytest.mark.parametrize("keep_label", [False, True])
def test_scores_move_as_the_goal_says(goal: Any, score: Any, keep_label: bool) -> None:
    predictive, (x, y) = random_ensemble(scale=3.0), random_inputs(images=30)
    y = predictive.log_probs(x).argmax(-1)
    threat = bb.Threat(epsilon=0.1, goal=goal, score=score, keep_label=keep_label)
    attack = bb.attack("pgd", random_start=False)  # The clean input is a candidate.
    outcome = bb.evaluate(predictive, attack, bb.Data(test=(x, y)), threat=threat)

    def scores(log_probs: np.ndarray, entropy: np.ndarray) -> np.ndarray:
        of_predictive = -(np.exp(log_probs) * log_probs).sum(-1)
        return np.asarray(of_predictive if score == "entropy" else of_predictive - entropy)

    before = scores(outcome.clean_log_probs, outcome.clean_entropy)
    after = scores(outcome.attacked_log_probs, outcome.attacked_entropy)
    kept = outcome.attacked_correct
    gain = after - before if goal == "raise-uncertainty" else before - after
    if keep_label:
        assert kept.all()
    if goal == "raise-uncertainty" or keep_label:
        assert (gain >= -1e-9).all()
        assert (gain > 0.01).mean() > 0.5
    assert (outcome.robust <= ~outcome.broken).all()


def test_the_direction_to_more_entropy_does_not_vanish_where_the_network_is_certain() -> None:
    log_probs = torch.tensor([[[-1e-30, -80.0, -90.0]]], requires_grad=True)
    value = UncertaintyObjective().ascent(log_probs.log_softmax(-1), torch.tensor([0]))
    value.sum().backward()
    assert log_probs.grad is not None
    assert log_probs.grad.abs().max() > 0.5


@pytest.mark.parametrize("wanted", ["label", "other"])
def test_any_value_at_an_allowed_class_is_above_any_other(wanted: str) -> None:
    generator = torch.Generator().manual_seed(0)
    log_probs = (4 * torch.randn(5, 400, 4, generator=generator, dtype=torch.float64)).log_softmax(-1)
    y = torch.randint(0, 4, (400,), generator=generator)
    right = log_probs.logsumexp(0).argmax(-1) == y
    allowed = right if wanted == "label" else ~right
    for raises in (True, False):
        for score in ("entropy", "mutual-information"):
            value = UncertaintyObjective(raises=raises, score=score, wanted=wanted).value(log_probs, y)
            assert value[allowed].min() > value[~allowed].max()


def test_an_image_of_the_target_has_the_class_after_it() -> None:
    labels = np.array([0, 1, 2, 3])
    assert Targeted(1).aims(labels, 4).tolist() == [1, 2, 1, 1]
    assert Targeted().aims(labels, 4).tolist() == [1, 2, 3, 0]
    assert torch.equal(Targeted(1).aims(torch.from_numpy(labels), 4), torch.tensor([1, 2, 1, 1]))


def test_a_clean_error_is_not_robust_against_a_target() -> None:
    predictive, x, y, _ = two_classes()
    data = bb.Data(test=(x, 1 - y))
    outcome = bb.evaluate(predictive, bb.attack("pgd"), data, threat=bb.Threat(0.0, goal="targeted"), images=10)
    assert outcome.robust_accuracy == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"goal": "untargeted", "target": 1}, "target belongs to the goal 'targeted', not to 'untargeted'"),
        ({"goal": "targeted", "score": "entropy"}, "score belongs to the goal 'raise-uncertainty' or 'lower-unc"),
        ({"goal": "targeted", "target": -1}, "target"),
        ({"goal": "targeted", "target": True}, "target"),
        ({"goal": "raise-uncertainty", "score": "variance"}, "score"),
        ({"goal": "raise-uncertainty", "level": -1.0}, "level"),
        ({"goal": "raise-uncertainty", "keep_label": "yes"}, "keep_label"),
        ({"goal": "raise"}, "did you mean"),
    ],
)
def test_options_of_goals_are_checked(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bb.Threat(epsilon=0.1, **fields)


def test_options_that_are_not_given_have_the_key_of_the_defaults() -> None:
    plain = bb.Threat(epsilon=0.1)
    assert "target" not in plain.identity()
    assert "score" not in plain.identity()
    raised = bb.Threat(epsilon=0.1, goal="raise-uncertainty")
    assert raised.identity() == bb.Threat(0.1, goal="raise-uncertainty", score="entropy", keep_label=False).identity()
    assert raised != bb.Threat(0.1, goal="lower-uncertainty")


def test_a_class_that_does_not_exist_is_no_target() -> None:
    predictive, x, y, _ = two_classes()
    with pytest.raises(bb.Incompatible, match="target is the class 2, but there are 2 classes"):
        bb.attack("fgsm")(predictive, x, y, bb.Threat(epsilon=0.1, goal="targeted", target=2))


@pytest.mark.parametrize("goal", ["targeted", *UNCERTAIN])
@pytest.mark.parametrize("name", NAMES)
def test_an_attack_pursues_a_goal_or_says_that_it_cannot(name: str, goal: Any) -> None:
    predictive, x, y, _ = two_classes(images=6)
    norm: Any = "l2" if name == "carlini-wagner" else "linf"
    threat, attack = bb.Threat(epsilon=0.1, goal=goal, norm=norm), quick(name)
    if goal in attack.goals:
        assert attack(predictive, x, y, threat).shape == x.shape
    else:
        with pytest.raises(bb.Incompatible, match=f"cannot pursue the goal '{goal}'"):
            attack(predictive, x, y, threat)


def test_an_attack_that_holds_others_pursues_what_they_can() -> None:
    assert bb.attack("transfer", attack="fmn").goals == {"untargeted", "targeted"}
    assert bb.attack("transfer", attack="pgd").goals >= {"untargeted", *UNCERTAIN}
    assert bb.attack("apgd", targets=2).goals == {"untargeted"}
