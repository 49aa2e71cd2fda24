"""What holds for every attack."""

from __future__ import annotations

import pytest
import torch
from attacks import CASES, NORMS, WITHOUT_RANDOM_NUMBERS, quick
from known import random_ensemble, random_inputs

import bnnbench as bb


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_attacks_stay_in_ball_and_box_and_repeat_for_a_seed(name: str, norm: str) -> None:
    predictive = random_ensemble()
    x, y = random_inputs(images=40)
    threat = bb.Threat(epsilon=0.2, norm=norm)
    first, again = (quick(name)(predictive, x, y, threat, seed=5) for _ in range(2))
    assert torch.equal(first, again)
    assert first.dtype == x.dtype
    assert (threat.distance(x, first) <= 0.2 + 1e-9).all()
    assert first.min() >= 0
    assert first.max() <= 1
    other = quick(name)(predictive, x, y, threat, seed=6)
    assert torch.equal(first, other) == (name in WITHOUT_RANDOM_NUMBERS)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_several_threats_at_once_give_what_each_gives_alone(name: str, norm: str) -> None:
    predictive = random_ensemble()
    x, y = random_inputs()
    threats = [bb.Threat(epsilon=epsilon, norm=norm) for epsilon in (0.0, 0.05, 0.3)]
    together = quick(name)(predictive, x, y, threats, seed=2)
    for threat, batch in zip(threats, together, strict=True):
        assert torch.equal(batch, quick(name)(predictive, x, y, threat, seed=2))
    assert torch.equal(together[0], x)


@pytest.mark.parametrize(("name", "norms"), NORMS.items())
def test_an_attack_that_is_not_defined_for_a_norm_says_so(name: str, norms: tuple[str, ...]) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=5)
    holder = bb.attack("transfer", attack=quick(name))
    assert quick(name).norms == holder.norms == set(norms)
    for attack in (quick(name), holder):
        with pytest.raises(bb.Incompatible, match=f"is not defined for the l1 norm, but for {' and '.join(norms)}$"):
            attack(predictive, x, y, [bb.Threat(epsilon=0.1, norm=norm) for norm in (norms[0], "l1")])


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
