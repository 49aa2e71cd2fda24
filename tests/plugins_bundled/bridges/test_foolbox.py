"""The bridge to Foolbox against Foolbox itself, and its attacks that look for the nearest input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hyperplanes import found, linear_problem
from known import random_ensemble, random_inputs
from peers import needed

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft


@pytest.fixture(autouse=True)
def _foolbox() -> None:
    needed("foolbox")


def test_the_bridge_breaks_the_images_that_foolbox_breaks_when_called_by_hand() -> None:
    import foolbox

    data = bb.dataset("digits").load(seed=0)
    network = bb.network("fc", hidden=(32,)).build(data)
    predictive = bb.fit(bb.posterior("sgd", epochs=5), network, data, seed=0)
    x, y = (part[:100] for part in data.test)
    attack = foolbox.attacks.LinfPGD(steps=10, random_start=False)
    model = foolbox.PyTorchModel(predictive.as_module(), bounds=(0, 1), device="cpu")
    _, by_hand, broken = attack(model, x, y, epsilons=0.05)
    bridge = bb.attack("foolbox", parameters={"steps": 10, "random_start": False}, batch_size=30)
    result = bridge.run(predictive, x, y, 0.05)
    assert result.success.tolist() == broken.tolist()
    assert 0 < sum(broken.tolist()) < 100
    torch.testing.assert_close(result.inputs, by_hand)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_one_run_of_a_minimal_norm_attack_serves_all_radii(norm: str) -> None:
    predictive, x, y, exact = linear_problem((8,), classes=2, images=30, low=0.3, high=0.7)
    attack = bb.attack("foolbox", attack={"linf": "LinfDeepFoolAttack", "l2": "L2DeepFoolAttack"}[norm])
    assert attack.traits == {"minimal-norm"}
    _, distance = found(attack, predictive, x, y, norm)
    # DeepFool goes 2% beyond the boundary, and a little more.
    assert np.allclose(distance, 1.025 * exact[norm], rtol=0.01)
    threats = [bb.Threat(epsilon=epsilon, norm=norm) for epsilon in (0.01, 0.1)]
    one, other = craft(attack, predictive, x, y, threats, seed=0)
    assert one.forward_passes.tolist() == other.forward_passes.tolist()
    (alone,) = craft(attack, predictive, x, y, threats[1:], seed=0)
    assert alone.forward_passes.tolist() == other.forward_passes.tolist()


def test_attacks_by_decisions_work_where_the_threat_gives_no_more() -> None:
    predictive, x, y, exact = linear_problem((8,), classes=2, images=10, low=0.3, high=0.7)
    attack = bb.attack("foolbox", attack="HopSkipJumpAttack", parameters={"steps": 5, "max_gradient_eval_steps": 200})
    threat = bb.Threat(epsilon=1.5 * float(exact["l2"].max()), norm="l2", access="decisions")
    result = attack.run(predictive, x, y, threat)
    assert result.success.all()
    with pytest.raises(bb.GradientRefused):
        bb.attack("foolbox")(predictive, x, y, bb.Threat(epsilon=0.1, access="decisions"))


def test_the_norm_of_an_attack_that_takes_one_is_that_of_the_threat() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs()
    attack = bb.attack("foolbox", attack="InversionAttack")
    for norm in ("linf", "l2"):
        threat = bb.Threat(epsilon=0.2, norm=norm)
        assert (threat.distance(x, attack(predictive, x, y, threat)) <= 0.2 + 1e-6).all()
    with pytest.raises(bb.ParameterError, match="'distance' of foolbox's InversionAttack is given by the threat"):
        bb.attack("foolbox", attack="InversionAttack", parameters={"distance": "l2"})


def test_attacks_for_other_norms_and_missing_parameters_are_refused() -> None:
    with pytest.raises(bb.ParameterError, match="L0FMNAttack is for no norm that a threat can have"):
        bb.attack("foolbox", attack="L0FMNAttack")
    with pytest.raises(bb.ParameterError, match="VirtualAdversarialAttack needs the parameter 'steps'"):
        bb.attack("foolbox", attack="VirtualAdversarialAttack")


def test_the_perturbation_is_not_the_worst_one_of_attacks_that_stop() -> None:
    assert not bb.attack("foolbox").stops_early
    assert bb.attack("foolbox", attack="LinfDeepFoolAttack").stops_early
    assert bb.attack("foolbox", attack="LinfRepeatedAdditiveUniformNoiseAttack").stops_early
