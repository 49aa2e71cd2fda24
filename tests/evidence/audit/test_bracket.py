"""The bracket, and the flag that says that a proof and another result contradict each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import bnnbench as bb
from bnnbench.evidence.audit.bracket import Proofs
from bnnbench.evidence.audit.check import Ask
from bnnbench.evidence.audit.looking import audit_of
from bnnbench.measurements.certification import Certification
from bnnbench.measurements.outcome import Outcome
from tests.support.commands import called
from tests.support.handmade import FGSM, NOISE, PGD, THREAT, case
from tests.support.outcomes import outcome
from tests.support.proofs import Linear, written

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


def test_what_was_run_under_another_threat_is_not_in_the_bracket() -> None:
    wide = replace(THREAT, epsilon=1.0)
    found = audit_of(case({PGD: ALL}, {(NOISE, wide): NONE}), {"asking": Asking(threats=(wide,))})
    assert ends(found) == (None, 1.0)


def test_a_proof_that_an_attack_disproves_is_a_flag_and_no_bound() -> None:
    further = {(SOUND, THREAT): certified("1100000000")}
    found = audit_of(case({PGD: "0111111111"}, further), {}, Proofs({"linear": SOUND}))
    assert found.headline == "UNTRUSTWORTHY (C1)"
    assert "1 images are proven robust that do not withstand" in found.flags[0].text
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
    assert [flag.look.figure for flag in flags] == [images] * bool(images)


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
    assert ends(found) == (None, 1.0)


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


AUDITED = """\
epsilons: [0.05]
evaluate: {images: 40}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 100}}
networks: {line: {use: 'proofs.py:Line'}}
posteriors: {sgd: {epochs: 5}}
attacks: {pgd: {steps: 5}}
"""


def audited(folder: Path, certificates: str) -> tuple[dict[str, Any], str]:
    """The one audit of a benchmarks file with these certificates, and the table on one line."""
    written(folder, f"{AUDITED}certificates: {certificates}\n")
    done = called("audit", "-j", "0", "--format", "json", folder=folder)
    (audit,) = json.loads(done.stdout)
    table = called("audit", "--look", folder=folder)
    assert done.returncode == table.returncode
    return audit, " ".join(table.stdout.split())


def test_a_false_proof_of_a_benchmarks_file_raises_c1(tmp_path: Path) -> None:
    audit, table = audited(tmp_path, "{hasty: {use: 'proofs.py:Linear', excess: 1.0}}")
    assert audit["verdict"] == "UNTRUSTWORTHY"
    assert audit["flags"][-1] == "C1"
    assert audit["bracket_low"] is None
    (look,) = [look for look in audit["looks"] if look["flag"] == "C1"]
    assert (look["check"], look["severity"], look["figure"], look["threshold"]) == ("false-proof", "refutes", 1, 0)
    assert "certificate 'hasty' certifies 2 images that attack 'pgd' breaks at radius 0.05" in look["text"]
    assert "C1 false-proof, sgd at 0.05: certificate 'hasty' certifies 2 images" in table
    assert "bracket" not in "".join(audit["unseen"])  # The flag has told the reason.


def test_a_sound_proof_of_a_benchmarks_file_bounds_and_one_without_a_result_is_named(tmp_path: Path) -> None:
    text = "{sound: {use: 'proofs.py:Linear'}, small: {use: exact, inputs_at_most: 1}}"
    audit, table = audited(tmp_path, text)
    assert "C1" not in audit["flags"]
    assert audit["bracket_low"] == audit["bracket_high"] == audit["reported"]
    reasons = {name: reason for name, reason in audit["unseen"].items() if name.startswith("bracket")}
    assert list(reasons) == ["bracket small"]
    assert reasons["bracket small"].startswith("skipped: ")
    assert "not looked at: bracket small: skipped: " in table


def test_the_radii_of_other_norms_are_no_radii_of_a_case() -> None:
    """The l2 ball of a radius need not lie in the l1 ball of a larger one."""
    smaller = replace(THREAT, epsilon=0.05)
    others = [replace(smaller, norm="l2"), replace(smaller, stream="independent")]
    assert case({PGD: ALL}, radii=[smaller, *others]).radii == [smaller, THREAT]
