"""What holds for every attack."""

from __future__ import annotations

import pytest
import torch
from known import random_ensemble, random_inputs

import bnnbench as bb


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


def test_fgsm_takes_one_gradient_for_all_epsilons_and_pgd_one_look_a_step() -> None:
    predictive = random_ensemble()
    x, y = random_inputs()
    from bnnbench.core.rules.attack_run import craft

    threats = [bb.Threat(epsilon=0.1), bb.Threat(epsilon=0.2), bb.Threat(epsilon=0.1, norm="l2")]
    for one in craft(bb.attack("fgsm"), predictive, x, y, threats, seed=0):
        assert one.gradient_passes.tolist() == [1] * len(x)
    (pgd,) = craft(bb.attack("pgd", steps=4, restarts=2), predictive, x, y, threats[:1], seed=0)
    assert pgd.forward_passes.tolist() == [10] * len(x)
    assert pgd.gradient_passes.tolist() == [8] * len(x)
    assert pgd.steps["objective"].shape == (10, len(x))
