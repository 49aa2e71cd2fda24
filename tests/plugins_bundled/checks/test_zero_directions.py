"""A5 `zero-direction`: images at which every attack stood still, and that no certificate proves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from cases import case_of
from torch import nn

import bnnbench as bb
from bnnbench.measurements.certification import Certification
from bnnbench.measurements.outcome import Outcome
from tests.support.handmade import FGSM, NOISE, PGD, THREAT, case
from tests.support.outcomes import outcome

ALL, NONE = "1111111111", "0000000000"
CHECK, CROWN, STANDARD = bb.check("zero-direction"), bb.certificate("crown"), bb.attack("standard")
MARGIN = bb.attack("pgd", objective=bb.objective("log-margin"))


def bits(pattern: str) -> np.ndarray:
    return np.array([bit == "1" for bit in pattern])


def still(robust: str, where: str) -> Outcome:
    """An outcome whose directions were zero at some images."""
    return replace(outcome(robust), zero_direction=bits(where))


def proof(certified: str) -> Certification:
    made = outcome(ALL)
    return Certification(
        made.index, made.label, made.clean_log_probs, made.clean_entropy, bits(certified), None, None, made.draws
    )


def test_images_that_withstand_are_counted() -> None:
    look = CHECK.look(case({PGD: still("1110000000", ALL)}))
    assert (look.fired, look.figure, look.threshold) == (True, 3, 0)
    assert "ProjectedGradient 0 had a direction of exactly zero at 3 images that withstand" in look.text
    assert "at 1 image that withstands and" in CHECK.look(case({PGD: still(ALL, "1000000000")})).text
    assert not CHECK.look(case({PGD: still("1110000000", ALL), FGSM: still(NONE, ALL)})).fired
    with pytest.raises(bb.NotApplicable, match="follows directions"):
        CHECK.look(case({PGD: replace(outcome(ALL), zero_direction=None)}))


def test_an_image_that_one_attack_followed_has_been_attacked() -> None:
    look = CHECK.look(case({PGD: still(ALL, "1111000000"), FGSM: still(ALL, "0011110000")}))
    assert (look.fired, look.figure) == (True, 2)
    assert "ProjectedGradient 0, FastGradientSign 1 had" in look.text
    assert not CHECK.look(case({PGD: still(ALL, ALL), STANDARD: still(ALL, NONE)})).fired
    # An attack that follows no directions says nothing about them.
    without = replace(outcome(ALL), zero_direction=None)
    assert CHECK.look(case({PGD: still(ALL, "1111000000"), NOISE: without})).figure == 4


def test_an_image_that_a_certificate_proves_needs_no_attack() -> None:
    stuck = {PGD: still(ALL, "1111000000")}
    proven: list[Any] = [{(CROWN, THREAT): proof(certified)} for certified in ("1110000011", ALL)]
    assert CHECK.look(case(stuck, proven[0])).figure == 1
    assert not CHECK.look(case(stuck, proven[1])).fired
    assert list(CHECK.asks(case(stuck))) == []


@pytest.mark.parametrize(
    ("attacks", "advised"),
    [([PGD], "log-margin"), ([MARGIN], "square"), ([PGD, MARGIN], "square"), ([STANDARD], "square")],
)
def test_an_objective_is_advised_only_where_it_is_not_followed(attacks: list[bb.Attack], advised: str) -> None:
    remedy = CHECK.look(case({one: still(ALL, ALL) for one in attacks})).remedy
    assert f"`{advised}`" in remedy
    assert ("random starts" in remedy) == (advised == "square")
    uncertain = bb.Threat(epsilon=0.1, goal="raise-uncertainty")
    assert "log-margin" not in CHECK.look(case({one: still(ALL, ALL) for one in attacks}, threat=uncertain)).remedy


def test_robust_images_in_a_dead_corner_are_no_sign_of_a_weak_attack() -> None:
    """Where both units are dead in the whole ball, the network is constant there, and no input can break the image."""
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    weights = {
        "0.weight": [[4.0, 0.0], [0.0, 4.0]],
        "0.bias": [-2.0, -2.0],
        "2.weight": [[0.0, 0.0], [2.0, 2.0]],
        "2.bias": [0.5, 0.0],
    }
    predictive = bb.Predictive(network, {name: np.array([array], "f4") for name, array in weights.items()})
    x = torch.from_numpy(np.random.default_rng(0).uniform(size=(60, 2)).astype("f4"))
    data = bb.Data(test=(x, predictive.log_probs(x).argmax(-1)), bounds=(0, 1), classes=2)
    about = case_of(predictive, data, bb.Threat(epsilon=0.1), {"fgsm": FGSM, "pgd": PGD}, images=60)
    dead = (x < 0.4).all(1).numpy()[about.reported["pgd"].index]
    assert all(one.zero_direction[dead].all() for one in about.reported.values() if one.zero_direction is not None)
    assert dead.sum() >= 5
    # Of all images without a direction, one is broken inside of its ball, at the edge of the dead corner.
    directions: list[Any] = [one.zero_direction for one in about.reported.values()]
    zero = np.logical_and.reduce([about.standing(), *directions])
    sides = np.linspace(-0.1, 0.1, 41)
    steps = torch.from_numpy(np.stack(np.meshgrid(sides, sides), -1).reshape(-1, 2).astype("f4"))
    balls = [(x[place] + steps).clip(0, 1) for place in about.reported["pgd"].index[zero]]
    broken = sum(len(set(predictive.log_probs(ball).argmax(-1).tolist())) > 1 for ball in balls)
    assert CHECK.look(about).figure == broken == 1
