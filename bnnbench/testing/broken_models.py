"""Canaries whose model is broken, or hard for the attacks that are reported."""

from __future__ import annotations

import numpy as np
import torch

from bnnbench.components import attack, objective
from bnnbench.core.threat import Threat
from bnnbench.testing import networks, weak_attacks
from bnnbench.testing.canary import Canary
from bnnbench.testing.making import (
    EPSILON,
    IMAGES,
    INPUTS,
    ONE,
    Attacks,
    canary,
    drawn,
    labels,
    linear_model,
    problem,
    score_draws,
    waves,
)


def constant(seed: int = 0) -> Canary:
    """The model gives one class to every input; half of the labels are the other class.

    `unconstrained` (A3) must fire: images withstand any perturbation, so the number says nothing about robustness.
    """
    _, x = problem(seed)
    model = drawn(networks.Scores(INPUTS), weight=np.zeros((1, 2, INPUTS)), bias=np.array([[4.0, -4.0]]))
    return canary("constant", ("unconstrained",), model, x, ONE, y=np.arange(IMAGES) % 2)


def saturated(seed: int = 0) -> Canary:
    """The logits are thousands, and the attack follows the plain gradient of the cross-entropy, which is then zero.

    `zero-direction` (A5) must fire, and so must the note `zero-gradient` (A5).
    """
    weight, x = problem(seed)
    attacks = {"plain": weak_attacks.PlainGradient()}
    return canary("saturated", ("zero-direction", "zero-gradient"), linear_model(1e4 * weight), x, attacks)


def shattered(seed: int = 0) -> Canary:
    """The model rounds its inputs, so that its gradient is zero everywhere, and attacks with gradients stand still.

    `zero-direction` (A5) and `black-box` (A8) must fire.
    """
    weight, x = problem(seed)
    model = drawn(networks.Quantised(INPUTS), **score_draws(weight, "scores."))
    return canary("shattered", ("zero-direction", "black-box"), model, x, ONE)


def gradient_masked(seed: int = 0) -> Canary:
    """A fast wave in the inputs hides the slope of the model: gradients are not zero, and point anywhere.

    `black-box` (A8) and `unstable` (P2) must fire.
    """
    weight, x = problem(seed)
    return canary("gradient-masked", ("black-box", "unstable"), waves(weight, [0.05], seed), x, ONE)


def masked_draws(seed: int = 0) -> Canary:
    """A wave hides the slope of each draw, and the network of mean weights has none.

    `transfer` (A11) must fire: inputs that are made for the mean network break the predictive.
    """
    weight, x = problem(seed)
    return canary("masked-draws", ("transfer",), waves(weight, [0.02, -0.02], seed), x, ONE)


def planted_detector(seed: int = 0) -> Canary:
    """The model hides most of its features from gradients, and its own classes do not depend on these.

    The number itself is right. A detector that is planted on the hidden features is not found, so `binarisation` (A15)
    must fire.
    """
    weight, x = problem(seed)
    scores = np.zeros((1, 2, 1 + INPUTS))
    scores[0, :, 0] = -0.5, 0.5
    margin = {"margin.weight": weight[None, None], "margin.bias": -0.5 * weight.sum().reshape(1, 1)}
    draws = {**margin, "scores.weight": scores, "scores.bias": np.zeros((1, 2))}
    return canary("planted-detector", ("binarisation",), drawn(networks.Hiding(INPUTS), **draws), x, ONE)


def stochastic(seed: int = 0) -> Canary:
    """The model adds noise to its logits at each call. It is refused, and `repeated-passes` (A7) must say why."""
    _, x = problem(seed)
    torch.manual_seed(seed)
    return canary("stochastic", ("repeated-passes",), networks.Noisy(INPUTS), x, ONE, y=np.arange(IMAGES) % 2)


def probabilities_as_logits(seed: int = 0) -> Canary:
    """The logits of the predictive are probabilities, so that a second softmax squeezes them.

    `probabilities` (A6) must fire.
    """
    weight, x = problem(seed)
    draws = {name: array.astype("f4") for name, array in score_draws(weight).items()}
    model = networks.ProbabilitiesAsLogits(networks.Scores(INPUTS), draws)
    return canary("probabilities-as-logits", ("probabilities",), model, x, ONE)


def conflicting_draws(seed: int = 0) -> Canary:
    """Two of three draws are right with small logits; the third is wrong everywhere, with logits 20 times as large.

    The gradient of the expected loss is that of the third draw, which leads away from where the others change their
    mind. `objectives` (A13) must fire: PGD on the expected loss alone is reported.
    """
    weight, x = problem(seed)
    model = linear_model(np.stack([weight, weight, -20 * weight]))
    attacks = {"pgd": attack("bnnbench:pgd", objective=objective("bnnbench:expected-loss"))}
    return canary("conflicting-draws", ("objectives",), model, x, attacks)


def other_draws(seed: int = 0) -> Canary:
    """The draws that defend look at one half of the inputs, and those that the attacker sees at the other half.

    `sample-mismatch` (A12) must fire: the stream `independent` is reported. Labels are those of the defending draws.
    """
    weight, x = problem(seed)
    looked_at = np.arange(INPUTS) < INPUTS // 2
    # A single chain is cut into halves: the first one defends.
    defending, attacking = np.where(looked_at, weight, 0), np.where(looked_at, 0, weight)
    y = labels(linear_model(defending), x)
    model = linear_model(np.stack([defending] * 4 + [attacking] * 4))
    threats = (Threat(epsilon=EPSILON, stream="independent"),)
    return canary("other-draws", ("sample-mismatch",), model, x, ONE, y=y, threats=threats)


def loud_draw(seed: int = 0) -> Canary:
    """Two draws with small logits, and one with large logits that has learned something else, as well.

    The network of mean weights is nearly the third draw, and the predictive is not. `surrogate-failure` (P5) must fire:
    only inputs that are made for the mean network are reported.
    """
    weight, x = problem(seed)
    other = np.random.default_rng([seed, 2]).normal(size=INPUTS)
    other -= (other @ weight) / (weight @ weight) * weight
    loud = 20 * (weight + np.linalg.norm(weight) * other / np.linalg.norm(other))
    attacks: Attacks = {"transfer": "transfer"}
    return canary("loud-draw", ("surrogate-failure",), linear_model(np.stack([weight, weight, loud])), x, attacks)


def averaged_draws(seed: int = 0) -> Canary:
    """Draws with nothing in common: their gradients average to little, as independent ones of any kind do.

    The note `averaging` (A14) must fire.
    """
    weight, x = problem(seed)
    own = np.abs(weight).mean() * np.random.default_rng([seed, 2]).normal(size=(30, INPUTS))
    return canary("averaged-draws", ("averaging",), linear_model(own), x, ONE)
