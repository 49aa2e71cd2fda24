"""`bnnbench.audit`: its arguments, and what it returns for models and attacks of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import bnnbench as bb
from bnnbench.testing.canaries import CANARIES

CANARY = CANARIES["linear"](seed=0)
FEW = bb.Data(test=(0.5 + 0.1 * (CANARY.data.test[0][:20] - 0.5), CANARY.data.test[1][:20]), classes=2)
"""Points near the boundary, all of which an attack breaks: strong attacks end at once."""


class Still(bb.Attack):
    """Leaves the inputs as they are."""

    def perturb(
        self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: torch.Generator
    ) -> torch.Tensor:
        return x


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
        (bb.attack("fgsm"), ["fgsm"]),
        ([bb.attack("fgsm"), Still()], ["fgsm", "Still"]),
        (
            ["fgsm", bb.attack("random-sign", tries=2), bb.attack("random-sign")],
            ["fgsm", "random-sign 1", "random-sign 2"],
        ),
        ({"mine": bb.attack("fgsm"), "theirs": "random-sign"}, ["mine", "theirs"]),
    ],
)
def test_attacks_are_given_by_name_or_as_instances(attacks: Any, labels: list[str]) -> None:
    told: list[str] = []
    found = audit(attacks=attacks, progress=lambda done, total, note: told.append(note))
    assert found.attacks == tuple(labels)
    assert f"({', '.join(labels)})" in repr(found)
    assert told


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"threat": bb.Threat(epsilon=0.1)}, TypeError, "audit takes either epsilon=, a radius, or threat="),
        ({"epsilon": None}, TypeError, "audit takes either epsilon=, a radius, or threat="),
        ({"attacks": "pgdd"}, bb.UnknownComponent, "did you mean 'pgd'"),
        ({"attacks": [bb.check("noise")]}, TypeError, "each of attacks is an attack or its registered name"),
        ({"checks": ["noise"]}, TypeError, "each of checks is a check"),
        ({"checks": [bb.attack("pgd")]}, TypeError, "each of checks is a check"),
        ({"attacks": []}, ValueError, "attacks is empty: name the attacks"),
        ({"attacks": {}}, ValueError, "attacks is empty: name the attacks"),
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
    lenient = audit(attacks=weak, checks=[bb.check("black-box", points=100), bb.check("noise", points=100, images=1)])
    assert {"A8"} <= flags
    assert not {"A2", "A8"} & {flag.code for flag in lenient.flags}
    assert {"A2", "A8"} <= {flag.code for flag in lenient.looked}


def test_an_attack_that_does_not_fit_is_left_out() -> None:
    found = audit(attacks={"fgsm": "fgsm", "boundary": bb.attack("standard")}, epsilon=None, threat=fresh())
    assert (found.attacks, list(found.missing)) == (("fgsm",), ["boundary"])
    assert f"not in the number: boundary: {found.missing['boundary']}" in repr(found)
    none = audit(attacks="standard", epsilon=None, threat=fresh())
    assert (none.verdict, none.attacks) == ("NO NUMBER", ())
    assert f"no number: standard: {none.missing['standard']}" in repr(none)


def test_one_defence_serves_all_that_is_asked_under_a_threat(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clean predictions of a defence, and the fits of its attackers, are made once."""
    made: list[bb.Threat] = []
    init = bb.Defence.__init__

    def counted(self: bb.Defence, predictive: Any, data: Any, threat: bb.Threat, **given: Any) -> None:
        made.append(threat)
        init(self, predictive, data, threat, **given)

    monkeypatch.setattr(bb.Defence, "__init__", counted)
    audit(attacks=["fgsm", "pgd"], epsilon=None, threat=bb.Threat(epsilon=0.1, attack_draws=1))
    assert [one.attack_draws for one in made] == [1, None]


def test_the_goal_decides_which_images_count() -> None:
    """With the label kept, an image that is right and certain as it is has been what the attacker wants already."""
    keeps = bb.Threat(epsilon=0.0, goal="lower-uncertainty", keep_label=True)
    x, y = (np.asarray(one)[:20] for one in CANARY.data.test)
    found = bb.audit(CANARY.model, bb.Data(test=(x, y), classes=2), threat=keeps, attacks="fgsm")
    log_probs = bb.predictive(CANARY.model).log_probs(x).numpy()
    entropy, right = -(np.exp(log_probs) * log_probs).sum(-1), log_probs.argmax(-1) == y
    wanted = right & (entropy <= 0.5 * np.log(2))
    assert 0 < wanted.mean() < 1
    assert found.reported == pytest.approx(1 - wanted.mean())
    assert found.bracket is not None
    assert (found.bracket.low, found.bracket.high) == (None, found.reported)
    assert "counted are images that are not both right and accepted, neither" in repr(found)
    assert "not looked at: bracket crown: " in repr(found)


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
