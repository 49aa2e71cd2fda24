"""The bracket, and the flag that says that a proof and another result contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.evidence.audit.bracket import Proofs
from bnnbench.evidence.audit.case import Contradicted
from bnnbench.evidence.audit.check import Ask
from bnnbench.evidence.audit.looking import audit_of
from bnnbench.measurements.certification import Certification
from bnnbench.measurements.outcome import Outcome
from tests.support.handmade import FGSM, NOISE, PGD, THREAT, case
from tests.support.outcomes import outcome
from tests.support.proofs import Linear

ALL, NONE = "1111111111", "0000000000"
SOUND, HASTY = Linear(), Linear(excess=1.0)


class Asking(bb.Check):
    """Sees nothing in what it asks for: an attack with noise under some threats."""

    flag: ClassVar[str] = "Z1"

    threats: Any = (THREAT,)

    def asks(self, case: bb.Case) -> Sequence[Ask]:
        return [Ask(NOISE, threat) for threat in self.threats]

    def look(self, case: bb.Case) -> bb.Look:
        return bb.Look(False, 0, 0, "seen")


def certified(proven: str, refuted: str | None = None) -> Certification:
    made = outcome(ALL)
    bits = [None if text is None else np.array([bit == "1" for bit in text]) for text in (proven, refuted)]
    return Certification(
        index=made.index,
        label=made.label,
        clean_log_probs=made.clean_log_probs,
        clean_entropy=made.clean_entropy,
        certified=bits[0],
        bound=None,
        refuted=bits[1],
        draws=3,
    )


def ends(found: bb.Audit) -> tuple[float | None, float]:
    """The two ends of the bracket."""
    assert found.bracket is not None
    return found.bracket.low, found.bracket.high


def test_the_bracket_lies_between_what_is_proven_and_what_withstands_every_attack() -> None:
    further = {(SOUND, THREAT): certified("1100000000", "0000100000"), (NOISE, THREAT): "1111100000"}
    given = case({FGSM: "1111111000", PGD: "1111111100"}, further)
    found = audit_of(given, {"asking": Asking()}, Proofs({"linear": SOUND}))
    assert found.reported == 0.7
    assert ends(found) == (0.2, 0.4)
    assert found.images == 10
    assert not found.flags


@pytest.mark.parametrize(
    ("changes", "found", "high"),
    [
        ({"epsilon": 0.05}, "0011111111", 0.8),  # A smaller ball lies in that of the case.
        ({"epsilon": 0.05, "norm": "l2"}, "0011111111", 0.8),
        ({"epsilon": 0.5}, [0.1, 0.1001, *[0.5] * 8], 0.9),  # Of a larger one, what is near enough does.
        ({"epsilon": 0.5, "norm": "l2"}, [0.1, 0.1001, *[0.5] * 8], 0.9),
        ({"epsilon": 0.05, "stream": "independent"}, NONE, 1.0),  # Other draws defend.
        ({"epsilon": 0.05, "goal": "raise-uncertainty"}, NONE, 1.0),
        ({"epsilon": 0.05, "access": "scores"}, NONE, 1.0),
        ({"epsilon": 0.05, "queries": 5}, NONE, 1.0),
        ({"epsilon": 0.05, "attack_draws": 1}, NONE, 1.0),
        ({"epsilon": 0.05, "bounds": (0, 2)}, NONE, 1.0),
    ],
)
@pytest.mark.parametrize("reported", [True, False])
def test_an_input_in_the_ball_is_in_the_bracket_whatever_the_radius_of_its_attack(
    changes: dict[str, Any], found: str | list[float], high: float, reported: bool
) -> None:
    """It is one of the case's inputs as far as the threats differ in norm and radius alone."""
    other = replace(THREAT, **changes)
    made = far(found) if isinstance(found, str) else far(NONE, found)
    if reported:
        seen = audit_of(case({PGD: ALL}, {(PGD, other): made}, radii=[other]), {})
    else:
        seen = audit_of(case({PGD: ALL}, {(NOISE, other): made}), {"asking": Asking(threats=(other,))})
    assert seen.reported == 1.0
    assert ends(seen) == (None, high)


def test_under_another_goal_the_bracket_counts_what_reaches_it() -> None:
    """A misclassified input in a smaller ball does not; an uncertain one does."""
    threat = replace(THREAT, goal="raise-uncertainty", level=0.4)
    smaller = replace(threat, epsilon=0.05)
    for robust, high in ((NONE, 0.0), (ALL, 1.0)):  # Log-probabilities of 0.2 and 0.8 have an entropy of 0.5.
        found = [replace(far(bits), threat=one) for bits, one in ((ALL, threat), (robust, smaller))]
        given = case({PGD: found[0]}, {(PGD, smaller): found[1]}, threat=threat, radii=[smaller])
        assert ends(audit_of(given, {})) == (None, high)
    wrong = replace(far(NONE), threat=replace(smaller, level=0.6))
    given = case(
        {PGD: replace(far(ALL), threat=replace(threat, level=0.6))},
        {(PGD, replace(smaller, level=0.6)): wrong},
        threat=replace(threat, level=0.6),
        radii=[replace(smaller, level=0.6)],
    )
    assert ends(audit_of(given, {})) == (None, 1.0)


def test_a_proof_that_an_attack_disproves_is_a_flag_and_no_bound() -> None:
    further = {(SOUND, THREAT): certified("1100000000")}
    found = audit_of(case({PGD: "0111111111"}, further), {}, Proofs({"linear": SOUND}))
    assert found.headline == "UNTRUSTWORTHY (C1)"
    assert found.flags[0].text == (
        "certificate 'linear' certifies 1 image that another result breaks in its ball: one of both is wrong (flag "
        "above 0 such certificates)"
    )
    assert ends(found) == (None, 0.9)


def test_proofs_of_which_one_refutes_what_the_other_certifies_are_a_flag_and_no_bound() -> None:
    further = {(SOUND, THREAT): certified("1100000000"), (HASTY, THREAT): certified(NONE, "0100000000")}
    found = audit_of(case({PGD: ALL}, further), {}, Proofs({"linear": SOUND}, {"other": HASTY}))
    assert found.headline == "UNTRUSTWORTHY (C1)"
    assert ends(found) == (None, 0.9)


def far(robust: str, distance: Sequence[float] | float = 0.1) -> Outcome:
    """An outcome of inputs of four coordinates, at these distances."""
    return replace(outcome(robust), distance=np.broadcast_to(distance, 10), inputs=np.zeros((0, 4)))


@pytest.mark.parametrize(
    ("changes", "found", "images"),
    [
        ({"epsilon": 0.05}, far("0011111111"), 2),  # A smaller ball lies in the certified one.
        ({"epsilon": 0.05, "norm": "l2"}, far("0011111111"), 2),
        ({"epsilon": 0.5}, far(NONE, [0.1, 0.1001, *[0.5] * 8]), 1),  # Of a larger one, what is near enough does.
        ({"epsilon": 0.5, "norm": "l2"}, far(NONE, [0.1, 0.1001, *[0.5] * 8]), 1),
        ({"epsilon": 0.1, "stream": "independent"}, far(NONE), 0),  # Other draws defend.
    ],
)
def test_an_attack_under_another_threat_disproves_by_what_lies_in_the_certified_ball(
    changes: dict[str, Any], found: Outcome, images: int
) -> None:
    other = replace(THREAT, **changes)
    further = {(SOUND, THREAT): certified("1110000000"), (NOISE, other): found}
    checks = {"asking": Asking(threats=(other,))}
    flags = audit_of(case({PGD: ALL}, further), checks, Proofs({"linear": SOUND})).flags
    assert [flag.look.figure for flag in flags] == [1] * bool(images)
    assert [f"certifies {images} image" in flag.text for flag in flags] == [True] * bool(images)


def test_an_l2_proof_is_not_refuted_by_an_linf_ball_of_its_radius() -> None:
    """A step of linf length 0.1 in four coordinates may have the l2 length 0.2."""
    for epsilon, fired in ((0.19, False), (0.2, True)):
        threat, other = replace(THREAT, norm="l2", epsilon=epsilon), replace(THREAT, epsilon=0.1)
        further = {(SOUND, threat): certified("1110000000"), (NOISE, other): far(NONE)}
        given = case({PGD: ALL}, further, threat=threat)
        assert bool(audit_of(given, {"asking": Asking(threats=(other,))}, Proofs({"a": SOUND})).flags) is fired


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
def test_the_reported_attacks_at_the_other_radii_count(epsilon: float) -> None:
    other = replace(THREAT, epsilon=epsilon)
    further = {(SOUND, THREAT): certified("1110000000"), (PGD, other): far("0111111111")}
    found = audit_of(case({PGD: ALL}, further, radii=[other]), {}, Proofs({"linear": SOUND}))
    assert found.headline == "UNTRUSTWORTHY (C1)"
    assert ends(found) == (None, 0.9)


def test_c1_counts_certificates_wherever_their_contradiction_is_seen() -> None:
    """Two that this audit contradicts, one that the report has found to be wrong, and one that is sound."""
    proofs = {f"linear {excess}": Linear(excess=excess) for excess in range(4)}
    proven = ["1110000000", "1000000000", "0001000000"]
    further = {(one, THREAT): certified(bits) for one, bits in zip(proofs.values(), proven, strict=False)}
    given = case({PGD: "0011111111"}, further)
    find = given.result

    def result(component: Any, threat: bb.Threat | None) -> Any:
        if component == proofs["linear 3"]:
            raise Contradicted("certificate 'linear 3' certifies 5 images that attack 'pgd' breaks")
        return find(component, threat)

    found = audit_of(bb.Case(THREAT, given.attacks, result), {}, Proofs(proofs))
    (flag,) = found.flags
    assert (flag.look.figure, flag.look.threshold) == (3, 0)
    assert flag.text.startswith("certificate 'linear 3' certifies 5 images")
    assert "'linear 0' certifies 2 images" in flag.text
    assert "'linear 1' certifies 1 image " in flag.text
    assert "linear 2" not in flag.text
    assert ends(found) == (None, 0.8)


def test_a_proof_without_a_result_is_named_and_a_default_one_only_where_nothing_else_is_proven() -> None:
    further = {(SOUND, THREAT): certified("1100000000")}
    given = case({PGD: ALL}, further)
    found = audit_of(given, {}, Proofs({"mine": HASTY}, {"crown": SOUND}))
    assert found.unseen == {"bracket mine": "it was not measured"}
    assert ends(found) == (0.2, 1.0)
    assert audit_of(given, {}, Proofs({"mine": SOUND}, {"crown": HASTY})).unseen == {}
    assert list(audit_of(case({PGD: ALL}), {}, Proofs({"mine": SOUND}, {"crown": HASTY})).unseen) == [
        "bracket mine",
        "bracket crown",
    ]


def test_the_label_of_a_certificate_hides_no_default_one() -> None:
    found = audit_of(case({PGD: ALL}), {}, Proofs.beside({"crown": SOUND}))
    assert list(found.unseen) == ["bracket crown", "bracket bnnbench:crown"]
