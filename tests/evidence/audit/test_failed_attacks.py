"""`bnnbench.audit` of attacks that break a rule or fail, and of faults that are none of theirs."""

from __future__ import annotations

import functools
import re
from typing import Any, ClassVar

import pytest
import torch

import bnnbench as bb
from bnnbench.testing.canaries import CANARIES

CANARY = CANARIES["linear"](seed=0)
FEW = bb.Data(test=(0.5 + 0.1 * (CANARY.data.test[0][:20] - 0.5), CANARY.data.test[1][:20]), classes=2)
"""Points near the boundary, all of which an attack breaks: strong attacks end at once."""


class Leaves(bb.Attack):
    """Leaves the ball."""

    def perturb(
        self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: torch.Generator
    ) -> torch.Tensor:
        return torch.zeros_like(x)


class Nowhere(Leaves):
    """Gives inputs that are no numbers."""

    def perturb(
        self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: torch.Generator
    ) -> torch.Tensor:
        return x * torch.nan


class Fails(Leaves):
    """Fails, at radii above a limit."""

    limit: float = 0.0

    def perturb(
        self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: torch.Generator
    ) -> torch.Tensor:
        if threat.epsilon > self.limit:
            raise RuntimeError("no luck")
        return x


class Exits(Leaves):
    """Ends the process."""

    def perturb(
        self, victim: bb.Victim, x: torch.Tensor, y: torch.Tensor, threat: bb.Threat, rng: torch.Generator
    ) -> torch.Tensor:
        raise SystemExit(3)


class Holes(torch.nn.Linear):
    """Gives no numbers at one image, which is not the first."""

    def __init__(self) -> None:
        super().__init__(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = super().forward(x)
        return torch.where(x[:, :1] >= FEW.test[0][:, 0].max() - 1e-6, torch.nan, logits)


BROKEN = [
    (Leaves(), "invalid: .*Leaves left the linf ball"),
    (Nowhere(), "invalid: .*Nowhere.* not finite"),
    (Fails(), "failed: RuntimeError: no luck"),
    (Exits(), "failed: SystemExit: 3"),
]
"""Attacks that break a rule or fail, and how the audit names them."""


def audit(**given: Any) -> Any:
    return bb.audit(CANARY.model, FEW, **{"epsilon": 0.1, "attacks": "fgsm", **given})


def fresh() -> bb.Threat:
    return bb.Threat(epsilon=0.1, stream="fresh", attack_draws=1)


@functools.cache
def alone() -> tuple[float, Any]:
    """The number and the bracket where `fgsm` is the only reported attack."""
    found = audit(attacks="fgsm")
    return found.reported, found.bracket


@pytest.mark.parametrize(("broken", "reason"), BROKEN)
def test_an_attack_that_fails_is_named_and_not_in_the_number(broken: bb.Attack, reason: str) -> None:
    """The others are audited as if it had not been reported."""
    found = audit(attacks={"broken": broken, "fgsm": "fgsm"})
    assert (found.attacks, list(found.missing)) == (("fgsm",), ["broken"])
    assert re.match(reason, found.missing["broken"])
    assert f"  not in the number: broken: {found.missing['broken']}" in repr(found).splitlines()
    assert (found.reported, found.bracket) == alone()


@pytest.mark.parametrize(
    ("broken", "error"), [(Leaves(), bb.ContractBreach), (Fails(), RuntimeError), (Exits(), bb.PluginError)]
)
def test_an_audit_of_attacks_that_all_fail_raises_what_the_first_did(broken: bb.Attack, error: type[Exception]) -> None:
    with pytest.raises(error):
        audit(attacks={"still": bb.attack("standard"), "broken": broken}, epsilon=None, threat=fresh())


def test_an_attack_that_fails_at_one_radius_leaves_the_other_audits() -> None:
    small, large = audit(attacks=Fails(limit=0.05), epsilon=[0.05, 0.1])
    assert small.reported == 1.0
    assert (large.verdict, large.reported) == ("NO NUMBER", None)
    assert "no number: Fails: failed: RuntimeError: no luck" in repr(large)


def test_what_a_check_asks_for_may_fail() -> None:
    class Asking(bb.Check):
        """Looks at an attack that fails."""

        flag: ClassVar[str] = "Z1"

        def asks(self, case: bb.Case) -> list[bb.Ask]:
            return [bb.Ask(Leaves(), case.threat)]

        def look(self, case: bb.Case) -> bb.Look:
            return bb.Look(bool(case.outcome(Leaves()).robust.any()), 0, 0, "seen")

    found = audit(checks=[Asking()])
    (reason,) = [reason for name, reason in found.unseen.items() if name.startswith("Z1")]
    assert reason.startswith("invalid: ")


def test_a_fault_of_the_predictive_is_none_of_the_attacks() -> None:
    """At the images, as `evaluate` tells it."""
    with pytest.raises(bb.ContractBreach, match="log-probabilities that are not finite") as raised:
        bb.audit(Holes(), FEW, epsilon=0.1, attacks=["fgsm", "random-sign"])
    with pytest.raises(bb.ContractBreach) as evaluated:
        bb.evaluate(Holes(), bb.attack("fgsm"), FEW, epsilon=0.1)
    assert str(raised.value) == str(evaluated.value)


def test_an_interruption_of_the_progress_ends_the_audit() -> None:
    def stop(done: int, total: int, note: str) -> None:
        raise RuntimeError("stopped by the host")

    with pytest.raises(RuntimeError, match="stopped by the host"):
        audit(attacks=["fgsm", "random-sign"], progress=stop)
