"""Attacks pursue the goals that they say, and no goal is pursued that the draws cannot tell anything about."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from known import random_ensemble, random_inputs

import bnnbench as bb
from bnnbench.authoring import GOALS, Maximising
from bnnbench.core.ensemble.draw_split import split

UNCERTAIN = ("raise-uncertainty", "lower-uncertainty")


class OwnLoss(bb.Attack):
    """A step along the gradient of a cross-entropy that the attack computes itself."""

    def perturb(self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: Any) -> torch.Tensor:
        leaf = x.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(victim.logits(leaf).mean(0), y, reduction="sum")
        (slope,) = torch.autograd.grad(loss, leaf)
        return threat.project(x, x + threat.epsilon * threat.steepest(slope))


class Declared(bb.Attack):
    """A step along the direction that leads to the goal."""

    def perturb(self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: Any) -> torch.Tensor:
        direction = victim.direction(x, y, "predictive-nll")
        return threat.project(x, x + threat.epsilon * threat.steepest(direction))

    @property
    def goals(self) -> frozenset[str]:
        return GOALS


class Inherited(Maximising):
    """The same, as an attack with an objective."""

    perturb = Declared.perturb


class Holder(bb.Attack):
    """Runs another attack."""

    attack: bb.AttackParameter = OwnLoss()

    def perturb(self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: Any) -> torch.Tensor:
        return self.attack.run_on(victim, x, y, threat, rng)


@pytest.mark.parametrize("goal", ["targeted", *UNCERTAIN])
@pytest.mark.parametrize("attack", [OwnLoss(), Holder(), bb.attack("transfer", attack=OwnLoss())])
def test_an_attack_that_declares_no_goal_pursues_none_but_errors(attack: bb.Attack, goal: Any) -> None:
    """Under `targeted` it would flee from the target, and its cell would look like robustness."""
    predictive, (x, y) = random_ensemble(), random_inputs(images=4)
    attack(predictive, x, y, bb.Threat(epsilon=0.1))
    with pytest.raises(bb.Incompatible, match=rf"cannot pursue the goal '{goal}', but 'untargeted'"):
        attack(predictive, x, y, bb.Threat(epsilon=0.1, goal=goal))


def test_the_author_is_told_how_to_declare_goals() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=4)
    told = r"test_pursued_goals\.OwnLoss cannot pursue .*; one that follows .* says so in its property goals$"
    with pytest.raises(bb.Incompatible, match=told):
        OwnLoss()(predictive, x, y, bb.Threat(epsilon=0.1, goal="targeted"))
    with pytest.raises(bb.Incompatible, match=r"^attack deepfool cannot pursue the goal 'targeted', but 'untargeted'$"):
        bb.attack("deepfool")(predictive, x, y, bb.Threat(epsilon=0.1, goal="targeted"))


@pytest.mark.parametrize("goal", ["targeted", *UNCERTAIN])
def test_attacks_that_follow_the_victim_pursue_every_goal(goal: Any) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=4)
    threat = bb.Threat(epsilon=0.1, goal=goal)
    expected = bb.attack("fgsm")(predictive, x, y, threat)
    for attack in (Declared(), Inherited(), Holder(attack=Declared())):
        assert torch.equal(attack(predictive, x, y, threat), expected)


def test_a_skipped_norm_is_told_by_the_registered_name() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=4)
    with pytest.raises(bb.Incompatible, match=r"^attack boundary is not defined for the l1 norm"):
        bb.attack("boundary")(predictive, x, y, bb.Threat(epsilon=0.1, norm="l1"))


@pytest.mark.parametrize("goal", UNCERTAIN)
@pytest.mark.parametrize("fields", [{"attack_draws": 1}, {"stream": "fresh", "attack_draws": 1}])
@pytest.mark.parametrize("name", ["pgd", "random-sign"])
def test_the_mutual_information_of_one_draw_is_no_goal(name: str, fields: dict[str, Any], goal: Any) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=4)
    with pytest.raises(bb.Incompatible, match="mutual information of one draw is always 0"):
        bb.attack(name)(predictive, x, y, bb.Threat(0.1, goal=goal, score="mutual-information", **fields))
    bb.attack(name)(predictive, x, y, bb.Threat(0.1, goal=goal, score="entropy", **fields))


def test_one_draw_that_defends_is_none_either() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=4)
    threat, data = bb.Threat(0.1, goal="lower-uncertainty", score="mutual-information"), bb.Data(test=(x, y))
    assert len(bb.evaluate(predictive, bb.attack("fgsm"), data, threat=threat, draws=2)) == 4
    with pytest.raises(bb.Incompatible, match="two draws or more that defend"):
        bb.evaluate(predictive, bb.attack("fgsm"), data, threat=threat, draws=1)


def test_a_trial_with_few_draws_refuses_no_goal() -> None:
    """Under `independent` four draws are two halves, and a trial with fewer would see one."""
    draws = {"weight": torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)), "bias": torch.zeros(4, 3)}
    predictive, (x, y) = bb.Predictive(torch.nn.Linear(5, 3), draws), random_inputs(images=4, inputs=5)
    threat = bb.Threat(0.1, goal="raise-uncertainty", score="mutual-information", stream="independent")
    outcome = bb.evaluate(predictive, bb.attack("fgsm"), bb.Data(test=(x, y % 3)), threat=threat)
    assert (outcome.draws, outcome.attack_draws) == (2, 2)


def test_one_draw_that_defends_is_none_either_if_more_attack() -> None:
    """Under `independent` the numbers of both are chosen apart: here four attack."""
    predictive, (x, y) = random_ensemble(draws=8), random_inputs(images=4)
    threat = bb.Threat(0.1, goal="raise-uncertainty", score="mutual-information", stream="independent")
    with pytest.raises(bb.Incompatible, match="two draws or more that defend"):
        split(threat, chains=1, per_chain=8, limit=1)
    chosen = split(threat, chains=1, per_chain=8, limit=2)
    assert (len(chosen.attack), len(chosen.evaluation)) == (4, 2)
    with pytest.raises(bb.Incompatible, match="two draws or more that defend"):
        bb.evaluate(predictive, bb.attack("fgsm"), bb.Data(test=(x, y)), threat=threat, draws=1)


@pytest.mark.parametrize("attack", [bb.attack("transfer"), bb.attack("transfer", source="one-draw")])
def test_a_surrogate_of_one_draw_is_none_either(attack: bb.Attack) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=4)
    with pytest.raises(bb.Incompatible, match="two that the attacker sees"):
        attack(predictive, x, y, bb.Threat(0.1, goal="raise-uncertainty", score="mutual-information"))
