"""What limits an outcome as evidence, and the marks of tables that are made of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from known import linear_predictive, small_data
from outcomes import outcome
from torch import nn

import bnnbench as bb
from bnnbench.evidence.marks import MARKS
from bnnbench.measurements import findings
from bnnbench.measurements.attack import AttackMeasurement


def test_each_finding_has_a_mark_a_severity_and_a_text() -> None:
    plain = outcome("1010101010")
    assert plain.findings == []
    assert repr(plain.findings) == "no findings"
    zero = np.arange(10) < 4
    everything = dataclasses.replace(
        plain,
        zero_gradient=zero,
        zero_direction=zero,
        like_probabilities=True,
        label=np.arange(10) % 2,
        distance=np.zeros(10),
    )
    found = everything.findings
    assert [(finding.mark, finding.severity) for finding in found] == [
        ("!", "note"),
        ("#", "refutes"),
        ("*", "refutes"),
        ("=", "refutes"),
        ("?", "refutes"),
    ]
    assert str(found[0]) == "plain gradient exactly zero at 4 images"
    assert found.refuted
    assert not dataclasses.replace(plain, zero_gradient=zero).findings.refuted
    assert repr(found).splitlines()[1] == "refutes: attack direction exactly zero at 4 images"
    assert "<b>refutes</b>" in found._repr_html_()


def test_marks_of_tables_are_those_of_findings() -> None:
    found = dataclasses.replace(outcome("1010101010", zero=True), zero_gradient=np.ones(10, bool))
    notes = AttackMeasurement(bb.attack("fgsm")).notes(found)
    assert notes == {finding.mark: finding.text for finding in found.findings}
    assert "".join(notes) == "!#"
    assert [*MARKS] == ["~", *(kind.mark for kind in findings.KINDS), "+"]
    assert findings.OF_PREDICTIVE == "!=?"


def test_a_predictive_without_gradient_has_no_zero_gradient() -> None:
    found = dataclasses.replace(outcome("1010101010"), zero_gradient=None)
    assert found.zero_gradient_share is None
    assert AttackMeasurement(bb.attack("fgsm")).row(found)["zero_gradient_share"] is None


class Still(bb.Attack):
    """Returns its inputs."""

    def perturb(self, victim, x, y, threat, rng):  # type: ignore[no-untyped-def]
        return x


def test_an_attack_that_changes_no_image_is_no_evidence() -> None:
    predictive, data = linear_predictive(np.eye(2, 4), np.zeros(2)), small_data()
    assert "*" in [finding.mark for finding in bb.evaluate(predictive, Still(), data, epsilon=0.1).findings]
    assert "*" not in [finding.mark for finding in bb.evaluate(predictive, Still(), data, epsilon=0).findings]
    assert "*" not in [
        finding.mark for finding in bb.evaluate(predictive, bb.attack("pgd"), data, epsilon=0.1).findings
    ]


def test_a_budget_that_allows_no_step_of_an_attack_is_told() -> None:
    threat = bb.Threat(epsilon=0.1, access="scores", queries=20)
    found = bb.evaluate(linear_predictive(np.eye(2, 4), np.zeros(2)), bb.attack("nes"), small_data(), threat=threat)
    assert "the attack changed no image that is robust as it is" in [str(finding) for finding in found.findings]


@pytest.mark.parametrize(
    ("threat", "clean", "moved", "told"),
    [
        ({}, "1111100000", "0000011111", True),
        ({}, "1111100000", "1000000000", False),
        ({}, "0000000000", "0000000000", False),
        ({"goal": "targeted"}, "1111100000", "0000011111", True),
        # Images that are right have the entropy 0.33, wrong ones 0.50.
        ({"goal": "raise-uncertainty", "level": 0.4}, "1111100000", "0000011111", True),
        ({"goal": "raise-uncertainty", "level": 0.4}, "1111100000", "1000000000", False),
        ({"goal": "raise-uncertainty", "level": 0.3}, "1111111111", "0000000000", False),  # All are rejected as is.
        ({"goal": "lower-uncertainty", "level": 0.4}, "0000000000", "0000000000", True),  # None is right or accepted.
        ({"goal": "lower-uncertainty", "level": 0.6}, "0000011111", "1111100000", True),
        ({"goal": "lower-uncertainty", "level": 0.6}, "0000000000", "0000000000", False),
        ({"goal": "lower-uncertainty", "level": 0.6, "keep_label": True}, "1111111111", "0000000000", False),
    ],
)
def test_an_attack_is_no_evidence_if_it_changes_nothing_that_it_has_to_break(
    threat: dict[str, Any], clean: str, moved: str, told: bool
) -> None:
    distance = np.array([0.1 * (bit == "1") for bit in moved])
    found = dataclasses.replace(outcome(clean, clean), distance=distance, threat=bb.Threat(0.1, **threat))
    assert ("*" in [finding.mark for finding in found.findings]) is told
    assert np.array_equal(found.robust_as_is, found.robust)


class Probabilities(bb.Predictive):
    """Gives probabilities in the place of logits."""

    def logits(self, x, draws=slice(None)):  # type: ignore[no-untyped-def]
        return super().logits(x, draws).softmax(-1)


@pytest.mark.parametrize("kind", [bb.Predictive, Probabilities])
def test_probabilities_that_pass_for_logits_are_suspected(kind: type[bb.Predictive]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = {"weight": torch.randn(3, 2, 4), "bias": torch.zeros(3, 2)}
    found = bb.evaluate(kind(nn.Linear(4, 2), weights), bb.attack("fgsm"), small_data(), epsilon=0.1)
    assert found.like_probabilities is (kind is Probabilities)
    assert ("?" in [finding.mark for finding in found.findings]) is (kind is Probabilities)


def test_a_constant_prediction_refutes() -> None:
    constant = linear_predictive(np.zeros((2, 4)), np.array([0.0, 2.0]))
    found = bb.evaluate(constant, bb.attack("random-sign"), small_data(), epsilon=0.1)
    assert [str(finding) for finding in found.findings if finding.mark == "="] == [
        "every clean image is given one and the same class"
    ]
