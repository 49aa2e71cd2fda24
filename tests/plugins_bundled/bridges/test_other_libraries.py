"""What is particular to the bridges to torchattacks, pyautoattack and adv-lib."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
import pytest
from hyperplanes import found, linear_problem
from peers import needed

import bnnbench as bb


def test_the_margin_of_torchattacks_carlini_wagner_works_with_log_probabilities() -> None:
    needed("torchattacks")
    predictive, x, y, exact = linear_problem((8,), classes=2, images=20, low=0.3, high=0.7, scale=0.3)
    attack = bb.attack("torchattacks", attack="CW", parameters={"c": 10, "steps": 200})
    _, distance = found(attack, predictive, x, y, "l2")
    assert (distance >= exact["l2"] - 1e-6).all()
    assert np.median(distance / exact["l2"]) < 1.5


@pytest.mark.parametrize("attack", ["FAB", "APGDT"])
def test_torchattacks_is_told_the_number_of_classes(attack: str) -> None:
    needed("torchattacks")
    predictive, x, y, exact = linear_problem((1, 4, 4), classes=5, images=20, low=0.3, high=0.7)
    epsilon = 1.5 * float(exact["linf"].max())
    assert bb.attack("torchattacks", attack=attack).run(predictive, x, y, epsilon).success.all()


def test_autoattack_finds_what_exists_and_leaves_the_process_alone(caplog: pytest.LogCaptureFixture) -> None:
    needed("pyautoattack")
    predictive, x, y, exact = linear_problem((1, 4, 4), classes=5, images=12, low=0.2, high=0.8)
    epsilon = float(np.median(exact["linf"])) + 1e-4

    def trace(frame: Any, event: str, argument: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = bb.attack("pyautoattack").run(predictive, x, y, epsilon)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)
    assert result.success.tolist() == (exact["linf"] < epsilon).tolist()
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert not [text for text in warned if "probability distribution" in text or "target classes" in text]


def test_autoattack_needs_four_classes_for_its_targeted_loss() -> None:
    needed("pyautoattack")
    predictive, x, y, _ = linear_problem((1, 4, 4), classes=3, images=4)
    for attack in ("standard", "apgd-t"):
        with pytest.raises(bb.Incompatible, match=f"{attack} needs 4 classes, and there are 3"):
            bb.attack("pyautoattack", attack=attack)(predictive, x, y, bb.Threat(epsilon=0.1))
    bb.attack("pyautoattack", attack="apgd-dlr", parameters={"n_iter": 3})(predictive, x, y, bb.Threat(epsilon=0.1))


def test_square_of_pyautoattack_asks_for_scores_alone() -> None:
    needed("pyautoattack")
    predictive, x, y, exact = linear_problem((1, 4, 4), classes=3, images=8)
    threat = bb.Threat(epsilon=3 * float(exact["linf"].max()), access="scores")
    attack = bb.attack("pyautoattack", attack="square", parameters={"n_queries": 200})
    assert attack.run(predictive, x, y, threat).success.all()


@pytest.mark.parametrize(("attack", "norm"), [("df", "linf"), ("df", "l2"), ("tr", "l2"), ("sdf", "l2")])
def test_minimal_norm_attacks_of_adv_lib_find_the_boundary(attack: str, norm: str) -> None:
    needed("adv-lib")
    predictive, x, y, exact = linear_problem((8,), classes=2, images=20, low=0.3, high=0.7)
    made = bb.attack("adv-lib", attack=attack, parameters={"iter": 2000} if attack == "tr" else {})
    assert made.traits == {"minimal-norm"}
    _, distance = found(made, predictive, x, y, norm)
    assert (distance >= exact[norm] - 1e-6).all()
    assert np.median(distance / exact[norm]) < 1.2
