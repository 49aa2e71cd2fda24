"""Canaries whose attack is broken."""

from __future__ import annotations

import numpy as np

from bnnbench.core.threat import Threat
from bnnbench.testing import networks, weak_attacks
from bnnbench.testing.canary import Canary
from bnnbench.testing.making import IMAGES, Attacks, bands, canary, drawn, in_bands, linear_model, problem


def wrong_sign(seed: int = 0) -> Canary:
    """An attack that descends (`WrongSign`), alone. `noise` (A2) must fire."""
    weight, x = problem(seed)
    return canary("wrong-sign", ("noise",), linear_model(weight), x, {"wrong": weak_attacks.WrongSign()})


def wrong_sign_beside_fgsm(seed: int = 0) -> Canary:
    """An attack that descends (`WrongSign`), and FGSM. `single-step` (A1) must fire."""
    weight, x = problem(seed)
    attacks: Attacks = {"fgsm": "fgsm", "wrong": weak_attacks.WrongSign()}
    return canary("wrong-sign-beside-fgsm", ("single-step",), linear_model(weight), x, attacks)


def one_step(seed: int = 0) -> Canary:
    """PGD with one short step (`OneStep`). `convergence` (A4) must fire."""
    weight, x = problem(seed)
    return canary("one-step", ("convergence",), linear_model(weight), x, {"pgd": weak_attacks.OneStep()})


def tiny_steps(seed: int = 0) -> Canary:
    """PGD whose steps do not reach the surface of the ball (`TinySteps`). `unfinished` (A9) must fire."""
    weight, x = problem(seed)
    return canary("tiny-steps", ("unfinished",), linear_model(weight), x, {"pgd": weak_attacks.TinySteps()})


def corners(seed: int = 0) -> Canary:
    """Steps of twice epsilon (`Corners`), where only the inside of the ball is adversarial.

    `reference` (A16) must fire. The corners of the smaller of two reported radii are adversarial, so `radius-rise` (A3)
    must fire too.
    """
    threats = (Threat(epsilon=0.1), Threat(epsilon=0.2))
    attacks = {"pgd": weak_attacks.Corners()}
    return canary("corners", ("reference", "radius-rise"), bands(), in_bands(seed), attacks, threats=threats)


def last_iterate(seed: int = 0) -> Canary:
    """The last iterate is returned (`LastIterate`), where steps leap over what they found.

    `silent-success` (A10) must fire.
    """
    attacks, threats = {"pgd": weak_attacks.LastIterate()}, (Threat(epsilon=0.2),)
    return canary("last-iterate", ("silent-success",), bands(), in_bands(seed), attacks, threats=threats)


def one_restart(seed: int = 0) -> Canary:
    """One random start (`OneRestart`) on a rugged loss, of whose maxima few are adversarial.

    `convergence` (A4) and `reference` (A16) must fire.
    """
    x = np.random.default_rng([seed, 1]).uniform(0.2, 0.8, size=(IMAGES, 1))
    model = drawn(networks.Rugged(), height=np.array([1.4]))
    attacks, threats = {"pgd": weak_attacks.OneRestart()}, (Threat(epsilon=0.2),)
    return canary("one-restart", ("convergence", "reference"), model, x, attacks, threats=threats)
