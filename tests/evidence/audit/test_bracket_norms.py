"""What reported attacks find in other norms than that of a case, as far as its bracket counts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

import bnnbench as bb
from bnnbench.evidence.audit import planned
from bnnbench.evidence.audit.looking import audit_of
from tests.support.handmade import FGSM, NOISE, PGD, THREAT, case
from tests.support.outcomes import outcome
from tests.support.proofs import written

ALL = "1111111111"


def test_the_radii_of_other_norms_are_no_radii_of_a_case() -> None:
    """The l2 ball of a radius need not lie in the l1 ball of a larger one. What was found in it may lie in another."""
    smaller = replace(THREAT, epsilon=0.05)
    others = [replace(smaller, norm="l2"), replace(smaller, stream="independent")]
    found = case({PGD: ALL}, radii=[smaller, *others])
    assert found.radii == [smaller, THREAT]
    assert found.nearby == [smaller, others[0], THREAT]


def test_an_attack_that_is_reported_in_another_norm_alone_counts() -> None:
    other = replace(THREAT, epsilon=0.08, norm="l2")
    found = replace(outcome("0011111111"), inputs=np.zeros((0, 4)))
    given = case({PGD: ALL, FGSM: ALL}, {(NOISE, other): found})
    seen = audit_of(bb.Case(THREAT, given.attacks, given.result, radii=[other], others=[NOISE]), {})
    assert seen.bracket is not None
    assert (seen.bracket.low, seen.bracket.high) == (None, 0.8)
    assert (seen.reported, seen.missing) == (1.0, {})


FILE = """\
threats: [{epsilon: 0.2}, {epsilon: 0.2, norm: l2}]
evaluate: {images: 40}
datasets: {moons: {use: half-moons, train_size: 100, test_size: 40}}
networks: {line: {use: 'proofs.py:Line'}}
posteriors: {sgd: {epochs: 3}}
attacks: {noise: {use: random-sign}, pgd: {steps: 5}}
exclude: [{attack: pgd, norm: linf}]
"""


def test_what_a_file_attacks_in_one_norm_alone_bounds_the_other(tmp_path: Path) -> None:
    """The l2 ball of a radius lies in the l-infinity ball of the same radius."""
    results = bb.run(written(tmp_path, FILE), store=tmp_path / "store", jobs=0)
    linf, l2 = planned.audits(results)
    assert (linf.threat.norm, linf.attacks) == ("linf", ("noise",))
    (near,) = [cell.outcome for cell in results.cells if cell.spec.label == "pgd"]
    assert linf.bracket is not None
    assert linf.bracket.high <= near.robust_accuracy < linf.reported
    assert l2.bracket is not None
    assert l2.bracket.high <= l2.reported
