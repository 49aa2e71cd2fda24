"""Attacks against problems whose exact worst case is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known import OBJECTIVES, linear_predictive, random_ensemble, random_inputs, small_data

import bnnbench as bb

GRADIENT_ATTACKS = ("fgsm", "pgd")
UNBOUNDED = (-1e6, 1e6)


def binary_problem(
    seed: int = 0, inputs: int = 6, images: int = 200
) -> tuple[bb.Predictive, torch.Tensor, torch.Tensor, np.ndarray]:
    """A linear classifier on two classes with the difference of its weights, far from any box."""
    generator = np.random.default_rng(seed)
    weight, bias = generator.normal(size=(2, inputs)), generator.normal(size=2)
    x = torch.as_tensor(generator.normal(size=(images, inputs)), dtype=torch.float32)
    predictive = linear_predictive(weight, bias)
    return predictive, x, predictive.log_probs(x).argmax(-1), weight[1] - weight[0]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", GRADIENT_ATTACKS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_binary_linear_classifier_meets_its_exact_worst_case(name: str, objective: str, norm: str) -> None:
    """The margin w.x + b can fall by exactly epsilon times the dual norm of w, and by no more."""
    predictive, x, y, difference = binary_problem()
    epsilon = 0.3
    dual = np.abs(difference).sum() if norm == "linf" else np.linalg.norm(difference)
    threat = bb.Threat(epsilon=epsilon, norm=norm, bounds=UNBOUNDED)
    adversarial = bb.attack(name, objective=objective)(predictive, x, y, threat, seed=3)

    def margin(points: torch.Tensor) -> torch.Tensor:
        logits = predictive.logits(points)[0]
        return logits.gather(1, y[:, None])[:, 0] - logits.gather(1, 1 - y[:, None])[:, 0]

    fall = margin(x) - margin(adversarial)
    assert (fall <= epsilon * dual * (1 + 1e-4) + 1e-4).all()
    if name == "pgd":
        # Where the image is broken PGD keeps the worst of the broken iterates, which is the corner too.
        assert torch.allclose(fall, torch.full_like(fall, epsilon * dual), rtol=1e-3)
    else:
        assert torch.allclose(fall, torch.full_like(fall, epsilon * dual), rtol=1e-4)


def exact_robust(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray, epsilon: float) -> np.ndarray:
    """Where no point of the linf ball in the unit box is misclassified: each target class is a separable problem."""
    robust = np.ones(len(x), bool)
    low, high = np.maximum(x - epsilon, 0), np.minimum(x + epsilon, 1)
    for target in range(len(weight)):
        slope = weight[target] - weight[y]
        best = np.where(slope > 0, high, low)
        gain = (slope * best).sum(-1) + bias[target] - bias[y]
        robust &= (gain <= 0) | (target == y)
    return robust


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), epsilon=st.floats(0.0, 0.3), name=st.sampled_from(["fgsm", "pgd", "random-sign"]))
def test_no_attack_goes_below_the_exact_robust_accuracy(seed: int, epsilon: float, name: str) -> None:
    generator = np.random.default_rng(seed)
    weight, bias = generator.normal(size=(4, 5)), generator.normal(size=4) * 0.1
    x = generator.uniform(size=(60, 5)).astype("f4")
    predictive = linear_predictive(weight, bias)
    y = predictive.log_probs(torch.as_tensor(x)).argmax(-1).numpy()
    data = bb.Data(train=(x, y), test=(x, y), classes=4)
    outcome = bb.evaluate(predictive, bb.attack(name), data, epsilon=epsilon, images=60)
    robust = exact_robust(weight, bias, x, y, epsilon)[outcome.index]
    assert not (robust & ~outcome.robust).any()


def test_pgd_with_the_margin_reaches_the_exact_robust_accuracy_on_several_classes() -> None:
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(4, 5)), generator.normal(size=4) * 0.1
    x = generator.uniform(size=(300, 5)).astype("f4")
    predictive = linear_predictive(weight, bias)
    y = predictive.log_probs(torch.as_tensor(x)).argmax(-1).numpy()
    data = bb.Data(train=(x, y), test=(x, y), classes=4)
    outcome = bb.evaluate(predictive, bb.attack("pgd", restarts=8, objective="log-margin"), data, epsilon=0.1)
    missed = outcome.robust & ~exact_robust(weight, bias, x, y, 0.1)[outcome.index]
    # A margin climbs towards the nearest class; the rest is a class that is nearer from elsewhere in the ball.
    assert missed.mean() <= 0.02


@pytest.mark.parametrize("name", GRADIENT_ATTACKS)
def test_the_loss_never_exceeds_that_of_the_best_corner(name: str) -> None:
    """The cross-entropy of a linear classifier is convex in x, so its maximum over the ball is at a corner."""
    generator = np.random.default_rng(5)
    predictive = linear_predictive(generator.normal(size=(3, 4)), generator.normal(size=3))
    x, y = torch.rand(40, 4, generator=torch.Generator().manual_seed(1)), torch.arange(40) % 3
    threat = bb.Threat(epsilon=0.2, bounds=UNBOUNDED)
    loss = bb.objective("predictive-nll")
    corners = torch.stack([x + 0.2 * torch.tensor(signs) for signs in itertools.product([-1.0, 1.0], repeat=4)])
    best = torch.stack([loss.value(predictive.draw_log_probs(corner), y) for corner in corners]).amax(0)
    adversarial = bb.attack(name)(predictive, x, y, threat)
    reached = loss.value(predictive.draw_log_probs(adversarial), y)
    assert (reached <= best + 1e-5).all()
    if name == "pgd":
        assert (best - reached).mean() < 0.05


def test_random_signs_are_exactly_plus_or_minus_epsilon_with_probability_one_half() -> None:
    """Interior pixels move by exactly epsilon; the share of plus is within 5 standard errors (error rate 6e-7)."""
    predictive = linear_predictive(np.ones((2, 50)), np.zeros(2))
    x, y = torch.full((400, 50), 0.5), torch.zeros(400, dtype=torch.long)
    adversarial = bb.attack("random-sign")(predictive, x, y, bb.Threat(epsilon=0.125), seed=1)
    assert set((adversarial - x).unique().tolist()) == {-0.125, 0.125}
    plus = (adversarial > x).double()
    assert abs(plus.mean() - 0.5) < 5 * 0.5 / np.sqrt(plus.numel())
    # Neighbouring pixels and images are independent of each other.
    for one, other in ((plus[:, 1:], plus[:, :-1]), (plus[1:], plus[:-1])):
        assert abs(((one - 0.5) * (other - 0.5)).mean()) < 5 * 0.25 / np.sqrt(one.numel())


def test_random_signs_at_the_border_stay_in_the_box() -> None:
    predictive = linear_predictive(np.ones((2, 3)), np.zeros(2))
    x, y = torch.tensor([[0.0, 1.0, 0.05]]).repeat(100, 1), torch.zeros(100, dtype=torch.long)
    adversarial = bb.attack("random-sign")(predictive, x, y, bb.Threat(epsilon=0.1))
    assert adversarial[:, 0].unique().tolist() == pytest.approx([0.0, 0.1])
    assert adversarial[:, 1].unique().tolist() == pytest.approx([0.9, 1.0])
    assert adversarial[:, 2].unique().tolist() == pytest.approx([0.0, 0.15])


@pytest.mark.parametrize("name", ["fgsm", "pgd", "random-sign"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attacks_stay_in_ball_and_box_and_repeat_for_a_seed(name: str, norm: str) -> None:
    predictive = random_ensemble()
    x, y = random_inputs(images=40)
    threat = bb.Threat(epsilon=0.2, norm=norm)
    first, again = (bb.attack(name)(predictive, x, y, threat, seed=5) for _ in range(2))
    assert torch.equal(first, again)
    assert first.dtype == x.dtype
    assert (threat.distance(x, first) <= 0.2 + 1e-9).all()
    assert first.min() >= 0
    assert first.max() <= 1
    if name != "fgsm":
        assert not torch.equal(first, bb.attack(name)(predictive, x, y, threat, seed=6))


@pytest.mark.parametrize("name", ["fgsm", "pgd", "random-sign"])
def test_several_threats_at_once_give_what_each_gives_alone(name: str) -> None:
    predictive = random_ensemble()
    x, y = random_inputs()
    threats = [bb.Threat(epsilon=epsilon) for epsilon in (0.0, 0.05, 0.3)]
    together = bb.attack(name)(predictive, x, y, threats, seed=2)
    for threat, batch in zip(threats, together, strict=True):
        assert torch.equal(batch, bb.attack(name)(predictive, x, y, threat, seed=2))
    assert torch.equal(together[0], x)


def test_more_steps_restarts_and_tries_never_weaken_an_attack() -> None:
    predictive = random_ensemble(scale=3)
    x, y = random_inputs(images=100)
    data = bb.Data(train=(x, y), test=(x, y), classes=3)

    def left(attack: bb.Attack) -> float:
        return bb.evaluate(predictive, attack, data, epsilon=0.1, images=100).robust_accuracy

    assert left(bb.attack("pgd", restarts=5)) <= left(bb.attack("pgd"))
    assert left(bb.attack("random-sign", tries=30)) <= left(bb.attack("random-sign"))
    assert left(bb.attack("pgd")) <= left(bb.attack("random-sign", tries=30))


def test_the_best_iterate_is_kept_misclassified_first() -> None:
    from bnnbench_plugins.attacks.best import Best

    best = Best(torch.zeros(4, 1))
    points = torch.arange(4.0)[:, None]
    best.offer(points, torch.tensor([False, False, True, True]), torch.tensor([1.0, 1.0, 1.0, 1.0]))
    best.offer(points + 10, torch.tensor([True, False, False, True]), torch.tensor([0.0, 2.0, 9.0, 0.5]))
    assert best.inputs[:, 0].tolist() == [10.0, 11.0, 2.0, 3.0]


def test_under_fresh_the_last_iterate_counts_not_the_one_that_met_the_unluckiest_draw() -> None:
    """Two draws of one linear direction, one far steeper: its queries have the highest losses wherever they fall, and
    the worst case of both is one corner."""
    weight = np.array([[1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]], dtype="f4")
    weights = {"weight": np.stack([weight, 100 * weight]), "bias": np.zeros((2, 2), "f4")}
    predictive = bb.Predictive(torch.nn.Linear(3, 2), weights)
    x, y = torch.full((6, 3), 0.5), torch.tensor([0, 1, 0, 1, 0, 1])
    threat = bb.Threat(epsilon=0.1, stream="fresh", attack_draws=1)
    worst = x + 0.1 * torch.from_numpy(weight[1 - y]).sign()
    for seed in range(8):
        assert torch.allclose(bb.attack("pgd", steps=4)(predictive, x, y, threat, seed=seed), worst, atol=1e-6)


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


def test_fgsm_takes_one_gradient_for_all_epsilons_and_pgd_one_look_a_step() -> None:
    predictive = random_ensemble()
    x, y = random_inputs()
    from bnnbench.core.crafting import craft

    threats = [bb.Threat(epsilon=0.1), bb.Threat(epsilon=0.2), bb.Threat(epsilon=0.1, norm="l2")]
    for one in craft(bb.attack("fgsm"), predictive, x, y, threats, seed=0):
        assert one.gradient_passes.tolist() == [1] * len(x)
    (pgd,) = craft(bb.attack("pgd", steps=4, restarts=2), predictive, x, y, threats[:1], seed=0)
    assert pgd.forward_passes.tolist() == [10] * len(x)
    assert pgd.gradient_passes.tolist() == [8] * len(x)
    assert pgd.steps["objective"].shape == (10, len(x))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_stopping_at_broken_images_finds_the_same_and_says_less(norm: str) -> None:
    predictive, data = random_ensemble(draws=4, inputs=4, classes=2), small_data(images=80)
    threat = bb.Threat(epsilon=0.15 if norm == "linf" else 0.3, norm=norm)  # type: ignore[arg-type]
    whole = bb.evaluate(predictive, bb.attack("pgd", steps=6, restarts=2), data, threat=threat)
    quick = bb.evaluate(predictive, bb.attack("pgd", steps=6, restarts=2, stop_when_broken=True), data, threat=threat)
    assert 0 < whole.attacked_accuracy < 1
    # What is left over is attacked as if nothing had been dropped, noise included.
    assert np.array_equal(whole.robust, quick.robust)
    left = quick.attacked_correct
    assert np.allclose(whole.attacked_log_probs[left], quick.attacked_log_probs[left], atol=1e-9)
    assert (whole.passes == 14).all()
    assert (quick.passes[left] == 14).all()
    assert (quick.passes[~left] < 14).all()
    assert quick.passes[~whole.clean_correct].max() < 14
    assert whole.softmax_robustness is not None
    assert quick.softmax_robustness is None


def test_a_zero_direction_is_noted_at_the_image_that_was_asked_about() -> None:
    """A network that does not look at its input where that is 0.5 exactly."""

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            score = self.weight * (x[:, 0] - 0.5).pow(2)
            return torch.stack([score, -score], 1)

    from bnnbench.core.victim import Victim

    predictive = bb.Predictive(Flat(), {"weight": np.ones((2, 1), "f4")})
    x = torch.tensor([[0.1], [0.5], [0.7], [0.5]])
    y = torch.zeros(4, dtype=torch.long)
    victim = Victim(predictive, bb.Threat(epsilon=0.1), [0, 1], 4)
    some = torch.tensor([2, 3])
    victim.among(some).direction(x[some], y[some], "predictive-nll")
    assert victim.ledger.zero_direction.tolist() == [False, False, False, True]
    assert victim.ledger.gradient.tolist() == [0, 0, 1, 1]
    victim.direction(x, y, "predictive-nll")
    assert victim.ledger.zero_direction.tolist() == [False, True, False, True]
