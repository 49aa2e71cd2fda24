"""A15: it fires on attacks and gradients that do not work, and not on sound ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import case_of, looked
from failing import Backwards, Idle, ensemble, images

import bnnbench as bb
from bnnbench.evidence.audit.case import Case


def test_it_does_not_fire_on_sound_attacks() -> None:
    found = looked(bb.check("binarisation"), ensemble(), images(), 0.1, "pgd", "fgsm")
    assert not found.fired
    assert found.figure == 1
    assert "32 of 32" in found.text


@pytest.mark.parametrize("attack", [Idle(), Backwards()])
def test_it_fires_on_attacks_that_do_not_work(attack: bb.Attack) -> None:
    found = looked(bb.check("binarisation"), ensemble(), images(), 0.1, attack)
    assert found.fired
    assert found.figure == 0


def test_one_attack_that_works_is_enough() -> None:
    assert not looked(bb.check("binarisation"), ensemble(), images(), 0.1, Idle(), "pgd").fired


def test_it_fires_on_a_masked_gradient() -> None:
    assert looked(bb.check("binarisation"), ensemble(masked=True), images(), 0.1, "pgd").fired


@pytest.mark.parametrize(("missed", "fired"), [(0, False), (4, False), (5, True), (32, True)])
def test_five_of_32_must_be_missed(missed: int, fired: bool) -> None:
    result = {
        "possible": np.ones(32, bool), "found": np.arange(32) >= missed, "random_found": np.zeros(32, bool)
    }  # fmt: skip
    case = Case(bb.Threat(epsilon=0.1), {"pgd": bb.attack("pgd")}, lambda component, threat: result)
    assert bb.check("binarisation").look(case).fired == fired


def test_it_asks_for_the_measure_of_each_iterative_attack_with_gradients() -> None:
    attacks = {name: bb.attack(name) for name in ("pgd", "fgsm", "square", "random-sign", "transfer", "standard")}
    case = case_of(ensemble(), images(), bb.Threat(epsilon=0.2, norm="l2"), attacks)
    asks = bb.check("binarisation").asks(case)
    parameters = [ask.component.model_dump() for ask in asks]
    assert [ask.threat for ask in asks] == [None, None]
    assert [dict(ask.component.components())[".attack"] for ask in asks] == [attacks["pgd"], attacks["standard"]]
    assert {(one["epsilon"], one["norm"]) for one in parameters} == {(0.2, "l2")}


@pytest.mark.parametrize(
    ("threat", "attack", "reason"),
    [
        (bb.Threat(0.1, access="scores"), "pgd", "the attacker has none"),
        (bb.Threat(0.1, goal="targeted"), "pgd", "not what the goal 'targeted' asks for"),
        (bb.Threat(0.0), "pgd", "a ball of radius 0"),
        (bb.Threat(0.1), "fgsm", "iterative attacks with gradients on the predictive itself, and none is reported"),
    ],
)
def test_what_is_not_looked_at_is_told(threat: bb.Threat, attack: str, reason: str) -> None:
    case = case_of(ensemble(), images(), threat, {attack: bb.attack(attack)})
    assert list(bb.check("binarisation").asks(case)) == []
    with pytest.raises(bb.NotApplicable, match=reason):
        bb.check("binarisation").look(case)


def test_without_features_it_does_not_apply() -> None:
    network = torch.nn.Linear(16, 3)
    function = bb.predictive(lambda x: np.asarray(network(torch.as_tensor(x)).detach()))
    with pytest.raises(bb.NotApplicable, match="no gradient"):
        looked(bb.check("binarisation"), function, images(), 0.1)
