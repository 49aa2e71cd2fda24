"""Cases in which nothing is broken: no flag may be raised."""

from __future__ import annotations

import numpy as np

from bnnbench.core.threat import Threat
from bnnbench.testing.canary import Canary
from bnnbench.testing.making import EPSILON, IMAGES, INPUTS, SOUND, canary, labels, linear_model, problem


def linear(seed: int = 0) -> Canary:
    """A sound case: a linear classifier and sound attacks. No flag may be raised, and the exact answer is known."""
    weight, x = problem(seed)
    margin = (x - 0.5) @ weight
    # Of two classes, the worst input is the corner of ball and box that lowers the margin most.
    worst = np.clip(x - EPSILON * np.sign(margin)[:, None] * np.sign(weight), 0, 1)
    exact = np.sign(margin) == np.sign((worst - 0.5) @ weight)
    return canary("linear", (), linear_model(weight), x, SOUND, exact=exact)


def wrong_everywhere(seed: int = 0) -> Canary:
    """A sound case: every label is wrong, so that nothing is robust. No flag may be raised: 0% claims nothing."""
    weight, x = problem(seed)
    model = linear_model(weight)
    exact = np.zeros(IMAGES, bool)
    return canary("wrong-everywhere", (), model, x, SOUND, y=1 - labels(model, x), exact=exact)


def similar_draws(seed: int = 0) -> Canary:
    """A sound case: an attacker who sees other draws than those that defend, all of them nearly the same.

    No flag may be raised, `sample-mismatch` (A12) included.
    """
    weight, x = problem(seed)
    own = 0.001 * np.abs(weight).mean() * np.random.default_rng([seed, 2]).normal(size=(8, INPUTS))
    threats = (Threat(epsilon=EPSILON, stream="independent"),)
    return canary("similar-draws", (), linear_model(weight + own), x, SOUND, threats=threats)


def alike(seed: int = 0) -> Canary:
    """A sound case: draws that are nearly the same, and inputs that are made for the network of their mean weights.

    No flag may be raised, `surrogate-failure` (P5) and the note `averaging` (A14) included.
    """
    weight, x = problem(seed)
    own = 0.001 * np.abs(weight).mean() * np.random.default_rng([seed, 2]).normal(size=(8, INPUTS))
    return canary("alike", (), linear_model(weight + own), x, {"transfer": "transfer"})
