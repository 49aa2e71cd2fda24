"""An attack that breaks a rule is named, and nothing is clipped in silence."""

from __future__ import annotations

from collections.abc import Callable

import bad_attacks
import numpy as np
import pytest
import torch
from known import linear_predictive, random_ensemble, random_inputs, small_data
from torch import Tensor

import bnnbench as bb
from bnnbench.measurements.attack import AttackMeasurement
from bnnbench.measurements.defence import Defence

THREAT = bb.Threat(epsilon=0.1)


def attack(function: Callable[[bb.Victim, Tensor, Tensor], Tensor]) -> bb.Attack:
    class Odd(bb.Attack):
        """For these tests."""

        def perturb(self, victim, x, y, threat, rng):  # type: ignore[no-untyped-def]
            return function(victim, x, y)

    return Odd()


def in_place(victim: bb.Victim, x: Tensor, y: Tensor) -> Tensor:
    x.add_(0.01)
    return x


def on_weight(tensor: int, position: int) -> Callable[..., Tensor]:
    def change(victim: bb.Victim, x: Tensor, y: Tensor) -> Tensor:
        weights = list(victim._predictive.draws.values())[tensor].view(-1)
        weights[position] = weights[position].nextafter(torch.tensor(9.0, dtype=weights.dtype))
        return x

    return change


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda victim, x, y: x + 0.2, "left the"),
        (lambda victim, x, y: (x + 0.1).clamp(max=2) * 1.02, "left the"),
        (lambda victim, x, y: x - 0.1, "left the box"),
        (lambda victim, x, y: x * float("nan"), "not finite"),
        (lambda victim, x, y: x[:-1], "returned"),
        (lambda victim, x, y: x.float(), "float32, not"),
        (lambda victim, x, y: x.numpy(), "returned"),
        (lambda victim, x, y: None, "returned None"),
        (in_place, "changed the inputs"),
        (on_weight(0, 0), "changed the weights"),
        (on_weight(0, 3), "changed the weights"),
        (on_weight(-1, -1), "changed the weights"),
    ],
)
def test_a_breach_is_named_never_clipped(function: Callable[..., Tensor], reason: str) -> None:
    x, y = random_inputs()
    x[0] = 0.0
    with pytest.raises(bb.ContractBreach, match=reason) as caught:
        attack(function)(random_ensemble(), x, y, THREAT)
    assert "Odd" in str(caught.value)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_changed_weight_is_seen_wherever_it_lies_in_a_word(position: int) -> None:
    ensemble = linear_predictive(np.ones((3, 2)), np.ones(3))
    with pytest.raises(bb.ContractBreach, match="changed the weights"):
        attack(on_weight(1, position))(ensemble, torch.zeros(2, 2), torch.tensor([0, 1]), THREAT)


def test_rounding_at_the_border_is_no_breach() -> None:
    x, y = random_inputs()
    made = attack(lambda victim, x, y: (x + 0.1).clamp(max=1) + 5e-7)(random_ensemble(), x, y, THREAT)
    assert made.max() <= 1 + 1e-6


def test_inputs_outside_the_box_are_refused() -> None:
    x, y = random_inputs()
    with pytest.raises(ValueError, match="outside the box"):
        bb.attack("fgsm")(random_ensemble(), x + 1, y, THREAT)


class Careless(bb.Attack):
    """Changes the inputs in place and returns them."""

    def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        x.add_(0.01)
        return x


class Idle(bb.Attack):
    """Returns the inputs unchanged, the same tensor."""

    def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        return x


def test_a_breach_damages_nothing_that_comes_after() -> None:
    data, threat = small_data(), bb.Threat(epsilon=0.1)
    defence = Defence(random_ensemble(inputs=4, classes=2), data, threat, images=40, draws=None, seed=0)
    (before,) = AttackMeasurement(bb.attack("fgsm")).run(defence, [threat], "few")
    with pytest.raises(bb.ContractBreach, match="changed the inputs"):
        AttackMeasurement(Careless()).run(defence, [threat], "few")
    (after,) = AttackMeasurement(bb.attack("fgsm")).run(defence, [threat], "few")
    assert np.array_equal(before.attacked_log_probs, after.attacked_log_probs)


def test_what_an_attack_returns_is_not_the_callers_own_tensor() -> None:
    x, y = random_inputs()
    made = Idle()(random_ensemble(), x, y, bb.Threat(epsilon=0.1))
    assert torch.equal(made, x)
    assert made.data_ptr() != x.data_ptr()


def test_global_randomness_is_refused_and_the_hosts_is_left_alone() -> None:
    class Drawing(bb.Attack):
        """Draws from the global generator."""

        def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
            return (x + 0.01 * torch.rand(x.shape, dtype=x.dtype)).clamp(0, 1)

    predictive, (x, y) = random_ensemble(), random_inputs()
    state = torch.get_rng_state()
    with pytest.raises(bb.ContractBreach, match="global random state"):
        Drawing()(predictive, x, y, bb.Threat(epsilon=0.1))
    assert torch.equal(torch.get_rng_state(), state)


HALF_MOONS = bb.dataset("half-moons", train_size=100, test_size=50)


def network(data: bb.Data) -> torch.nn.Module:
    return bb.network("fc", hidden=(4,)).build(data)


@pytest.mark.parametrize("name", bad_attacks.ATTACKS)
def test_an_attack_is_caught_in_a_program(name: str) -> None:
    data = HALF_MOONS.load(seed=0)
    predictive = bb.fit(bb.posterior("sgd", epochs=1), network(data), data)

    def tried() -> None:
        for _ in range(20):  # A moody one may be in the same mood twice, but 20 times once in 10^6 times.
            bb.evaluate(predictive, bad_attacks.ATTACKS[name](), data, epsilon=0.05, images=20)

    with pytest.raises(bb.ContractBreach, match=bad_attacks.WRONG[name]) as caught:
        tried()
    assert "bad_attacks." in str(caught.value)


class Continuing(bb.Attack):
    """Goes on, under each threat, from where the one before has ended."""

    def perturb(self, victim, x, y, threat, rng):
        return self.perturb_each(victim, x, y, [threat], [rng])[0]

    def perturb_each(self, victim, x, y, threats, rngs):
        made, start = [], x
        for threat in threats:
            start = threat.project(x, start + 0.02)
            made.append(start)
        return made


def test_what_is_made_under_a_threat_depends_on_no_other_one() -> None:
    data = HALF_MOONS.load(seed=0)
    predictive = bb.fit(bb.posterior("sgd", epochs=1), network(data), data)
    threats = [bb.Threat(epsilon=epsilon, bounds=data.bounds) for epsilon in (0.02, 0.1)]
    defence = Defence(predictive, data, threats[0], images=20, draws=None, seed=0)
    measurement = AttackMeasurement(Continuing())
    measurement.run(defence, threats[1:], "few")
    with pytest.raises(bb.ContractBreach, match="gave two results for one seed"):
        measurement.run(defence, threats, "few")
