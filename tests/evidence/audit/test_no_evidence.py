"""The flag about numbers of which every outcome is refuted by its findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bnnbench.evidence.audit.looking import audit_of
from bnnbench.measurements.outcome import Outcome
from tests.support.handmade import FGSM, PGD, THREAT, case
from tests.support.outcomes import outcome

ALL = "1111111111"
STILL = replace(outcome(ALL), distance=np.zeros(10), threat=THREAT)
"""The attack has changed nothing: mark `*`."""
CONSTANT = replace(outcome("1111100000", clean=ALL), label=np.array([0] * 5 + [1] * 5))
LIKE = replace(outcome("1111100000"), like_probabilities=True)
"""The logits look like probabilities: mark `?`."""


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (STILL, "the attack changed no image that is robust as it is"),
        (CONSTANT, "every clean image is given one and the same class"),
    ],
)
def test_a_number_of_which_every_attack_is_refuted_is_untrustworthy(found: Outcome, text: str) -> None:
    assert found.findings.refuted
    audit = audit_of(case({FGSM: found, PGD: found}), {})
    assert audit.headline == "UNTRUSTWORTHY (A0)"
    (flag,) = audit.flags
    assert (flag.name, flag.severity, flag.look.figure, flag.look.threshold) == ("no-evidence", "refutes", 2, 2)
    assert flag.text.startswith(text)
    assert "FastGradientSign 0, ProjectedGradient 1" in flag.text


def test_each_reason_names_its_attacks() -> None:
    both = replace(CONSTANT, distance=np.zeros(10), threat=THREAT)
    (flag,) = audit_of(case({FGSM: both, PGD: CONSTANT}), {}).flags
    assert "changed no image that is robust as it is (FastGradientSign 0)" in flag.text
    assert "one and the same class (FastGradientSign 0, ProjectedGradient 1)" in flag.text


def test_one_attack_that_is_evidence_makes_the_number_evidence() -> None:
    """The number is no more than what withstands that attack."""
    assert audit_of(case({FGSM: STILL, PGD: ALL}), {}).headline == "NOT REFUTED"


@pytest.mark.parametrize("found", [outcome(ALL, zero=True), LIKE])
def test_what_a_check_judges_image_by_image_is_left_to_it(found: Outcome) -> None:
    """A5 leaves out images that are proven or broken, and A6 looks at the logits."""
    assert found.findings.refuted
    assert audit_of(case({PGD: found}), {}).headline == "NOT REFUTED"


def test_a_note_refutes_nothing() -> None:
    noted = replace(outcome(ALL), zero_gradient=np.ones(10, bool))
    assert [finding.severity for finding in noted.findings] == ["note"]
    assert audit_of(case({PGD: noted}), {}).headline == "NOT REFUTED"
