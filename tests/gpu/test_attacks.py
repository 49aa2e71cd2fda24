"""Attacks, a certificate and a measure on a real GPU."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from real_gpu import MARKS, TOLERANCE, convolutional, plain, sample

import bnnbench as bb

pytestmark = MARKS
ATTACKS: dict[str, dict[str, Any]] = {
    "fgsm": {},
    "pgd": {"steps": 10},
    "apgd": {"steps": 10},
    "square": {"queries": 50},
    "random-sign": {},
}
THREATS = {"linf": bb.Threat(epsilon=0.1), "l2": bb.Threat(epsilon=0.5, norm="l2")}


def on_both(network: Any) -> tuple[bb.Predictive, bb.Predictive]:
    """One ensemble on the CPU and on the GPU, of the same draws."""
    here = bb.fit(bb.posterior("bayes-by-backprop", epochs=3, draws=5), network, sample(), seed=1, device="cpu")
    draws = bb.Draws(
        {name: tensor[None] for name, tensor in here.draws.items()},
        shared=here.shared,
    )
    return here, bb.Predictive(copy.deepcopy(here.network).cuda(), draws)


@pytest.mark.parametrize("norm", THREATS)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_stays_in_the_ball_and_is_as_strong_as_on_the_cpu(name: str, norm: str) -> None:
    (x, y), attack, threat = sample().test, bb.attack(name, **ATTACKS[name]), THREATS[norm]
    here, there = on_both(convolutional())
    expected, found = attack(here, x, y, threat, seed=2), attack(there, x.cuda(), y.cuda(), threat, seed=2)
    assert found.device.type == "cuda"
    found = found.cpu()
    assert float(threat.distance(x, found).max()) <= threat.epsilon * (1 + 1e-5)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    loss = [-here.log_probs(one)[range(len(y)), y].mean() for one in (expected, found)]
    assert abs(float(loss[0] - loss[1])) < 0.05


def test_the_fast_gradient_step_is_that_of_the_cpu() -> None:
    """All coordinates but those whose slope is nearly zero go the same way."""
    (x, y), attack = sample().test, bb.attack("fgsm")
    here, there = on_both(convolutional())
    one, two = attack(here, x, y, bb.Threat(0.1), seed=2), attack(there, x, y, bb.Threat(0.1), seed=2)
    assert float(((one - two).abs() > 1e-3).float().mean()) < 0.02


def test_gradients_and_predictions_are_those_of_the_cpu() -> None:
    x, y = sample().test
    here, there = on_both(plain())
    for objective in ("predictive-nll", "expected-loss", "log-margin"):
        expected, found = here.gradient(x, y, objective), there.gradient(x, y, objective).cpu()
        assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert torch.allclose(there.draw_log_probs(x).cpu(), here.draw_log_probs(x), atol=TOLERANCE)


@pytest.mark.parametrize("name", ["interval", "crown"])
def test_a_certificate_proves_on_the_gpu_what_it_proves_on_the_cpu(name: str) -> None:
    here, there = on_both(plain())
    one, two = (bb.certify(each, bb.certificate(name), sample(), epsilon=0.01) for each in (here, there))
    assert int((one.certified != two.certified).sum()) <= 1


def test_an_evaluation_agrees_with_that_of_the_cpu() -> None:
    here, there = on_both(convolutional())
    one, two = (bb.evaluate(each, bb.attack("pgd", steps=5), sample(), epsilon=0.1) for each in (here, there))
    assert abs(one.clean_log_probs - two.clean_log_probs).max() < TOLERANCE
    assert int((one.holds != two.holds).sum()) <= 1
