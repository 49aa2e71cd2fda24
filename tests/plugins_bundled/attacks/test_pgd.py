"""Projected gradient ascent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from known import random_ensemble, random_inputs, small_data

import bnnbench as bb


def test_more_steps_restarts_and_tries_never_weaken_an_attack() -> None:
    predictive = random_ensemble(scale=3)
    x, y = random_inputs(images=100)
    data = bb.Data(train=(x, y), test=(x, y), classes=3)

    def left(attack: bb.Attack) -> float:
        return bb.evaluate(predictive, attack, data, epsilon=0.1, images=100).robust_accuracy

    assert left(bb.attack("pgd", restarts=5)) <= left(bb.attack("pgd"))
    assert left(bb.attack("random-sign", tries=30)) <= left(bb.attack("random-sign"))
    assert left(bb.attack("pgd")) <= left(bb.attack("random-sign", tries=30))


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


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
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
