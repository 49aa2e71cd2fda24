"""`bnnbench.audit`: its arguments, and what it returns for models and attacks of any kind."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import bnnbench as bb
from bnnbench.testing.canaries import CANARIES

CANARY = CANARIES["linear"](seed=0)
FEW = bb.Data(test=(0.5 + 0.1 * (CANARY.data.test[0][:20] - 0.5), CANARY.data.test[1][:20]), classes=2)
"""Points near the boundary, all of which an attack breaks: strong attacks end at once."""


def audit(**given: Any) -> Any:
    return bb.audit(CANARY.model, FEW, **{"epsilon": 0.1, "attacks": "fgsm", **given})


def test_one_radius_gives_an_audit_and_several_give_a_list() -> None:
    one = audit(epsilon="1/10")
    assert isinstance(one, bb.Audit)
    assert one.threat == bb.Threat(epsilon=0.1, bounds=(0, 1))
    assert one.images == 20
    both = audit(epsilon=[0.05, 0.1])
    assert isinstance(both, bb.Audits)
    assert [found.threat.epsilon for found in both] == [0.05, 0.1]
    assert both[1].reported == one.reported
    # A smaller radius is reported, so that the check has something to look at.
    assert "A3 radius-rise" in one.unseen
    assert "A3 radius-rise" not in both[1].unseen
    assert audit(epsilon=None, threat=[bb.Threat(epsilon=0.1)])[0].reported == one.reported


@pytest.mark.parametrize(
    ("attacks", "labels"),
    [
        ("fgsm", ["fgsm"]),
        (["fgsm", "random-sign"], ["fgsm", "random-sign"]),
        (bb.attack("fgsm"), ["FastGradientSign 0"]),
        ({"mine": bb.attack("fgsm"), "theirs": "random-sign"}, ["mine", "theirs"]),
    ],
)
def test_attacks_are_given_by_name_or_as_instances(attacks: Any, labels: list[str]) -> None:
    told: list[str] = []
    found = audit(attacks=attacks, progress=lambda done, total, note: told.append(note))
    assert found.reported is not None
    assert told
    text = repr(found)
    assert any(label in text or label.partition(" ")[0] for label in labels)


def test_without_attacks_there_is_no_number() -> None:
    found = audit(attacks=[])
    assert (found.verdict, found.refusal) == ("NO NUMBER", "no attack was reported")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"threat": bb.Threat(epsilon=0.1)}, TypeError, "audit takes either epsilon=, a radius, or threat="),
        ({"epsilon": None}, TypeError, "audit takes either epsilon=, a radius, or threat="),
        ({"attacks": "pgdd"}, bb.UnknownComponent, "did you mean 'pgd'"),
        ({"attacks": [bb.check("noise")]}, TypeError, "each of attacks is an attack or its registered name"),
        ({"checks": ["noise"]}, TypeError, "each of checks is a check"),
        ({"checks": [bb.attack("pgd")]}, TypeError, "each of checks is a check"),
        ({"images": 0}, ValueError, "images"),
        ({"epsilon": -1}, ValueError, "epsilon"),
        ({"epsilon": 2.0}, ValueError, "whole box"),
        ({"sed": 1}, TypeError, "did you mean 'seed'"),
    ],
)
def test_wrong_arguments_are_named(given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        audit(**given)
    assert "\n" not in str(raised.value)


def test_a_threshold_of_the_users_own_decides() -> None:
    weak = {"weak": CANARIES["one-step"](seed=0).attacks["pgd"]}
    flags = {flag.code for flag in audit(attacks=weak).flags}
    lenient = audit(attacks=weak, checks=[bb.check("black-box", points=100), bb.check("noise", points=100)])
    assert {"A8"} <= flags
    assert not {"A2", "A8"} & {flag.code for flag in lenient.flags}
    assert {"A2", "A8"} <= {flag.code for flag in lenient.looked}


def test_an_attack_that_does_not_fit_is_left_out() -> None:
    found = audit(attacks={"fgsm": "fgsm", "boundary": bb.attack("standard")}, epsilon=None, threat=fresh())
    assert found.reported is not None
    assert audit(attacks="standard", epsilon=None, threat=fresh()).verdict == "NO NUMBER"


def fresh() -> bb.Threat:
    return bb.Threat(epsilon=0.1, stream="fresh", attack_draws=1)


class Refused(torch.nn.Module):
    """Gives one score, where the data have two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_a_fault_that_no_check_explains_is_raised() -> None:
    with pytest.raises(bb.NetworkError, match="1"):
        bb.audit(Refused(), FEW, epsilon=0.1)


def test_a_random_network_is_refused_under_every_radius() -> None:
    canary = CANARIES["stochastic"](seed=0)
    found = bb.audit(canary.model, canary.data, epsilon=[0.05, 0.1])
    assert [one.headline for one in found] == ["UNTRUSTWORTHY (A7)"] * 2


def test_the_same_seed_gives_the_same_audit() -> None:
    assert repr(audit(seed=3, attacks="pgd")) == repr(audit(seed=3, attacks="pgd"))
