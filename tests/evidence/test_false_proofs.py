"""Proofs that another cell contradicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from outcomes import cell, certified, outcome
from proofs import MATRIX, written

import bnnbench as bb
from bnnbench.core.balls import BALLS
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.false_proofs import longest, without_false_proofs
from bnnbench.evidence.results import Results
from bnnbench.matrix.plan import restricted
from bnnbench.report.formats import FORMATS


def test_a_proof_that_an_attack_contradicts_is_invalid_and_both_are_named() -> None:
    attack, false = cell("pgd", 0, outcome("1110000000")), certified("crown", 0, "1111100000")
    sound = certified("ibp", 0, "1100000000")
    found = without_false_proofs([attack, false, sound])
    assert found[0] is attack
    assert found[2] is sound
    assert (found[1].status, found[1].certified, found[1].outcome) == ("invalid", None, None)
    assert found[1].reason == (
        "certificate 'crown' certifies 2 images that attack 'pgd' breaks at radius 0.1: the proof is wrong"
    )
    assert set(found[1].figures.values()) == {None}


def under(one: Cell, **changes: Any) -> Cell:
    """The cell under a threat that differs in these fields."""
    assert one.spec.threat is not None
    return replace(one, spec=replace(one.spec, threat=replace(one.spec.threat, **changes)))


def told(attack: Cell, proof: Cell) -> str:
    """Why the proof is invalid beside the attack; empty if it is not."""
    _, found = without_false_proofs([attack, proof])
    assert (found.status == "invalid") == bool(found.reason)
    return found.reason


@pytest.mark.parametrize(
    ("changes", "false"),
    [
        ({"epsilon": 0.05}, True),  # A smaller ball lies in the certified one.
        ({"access": "scores", "queries": 5}, True),
        ({"goal": "raise-uncertainty"}, True),
        ({"epsilon": 0.2}, False),
        ({"stream": "independent"}, False),
    ],
)
def test_only_what_lies_in_the_certified_ball_contradicts(changes: dict[str, Any], false: bool) -> None:
    far = replace(cell("pgd", 0, outcome("0000000000")), distance=np.full(10, 0.11))
    attack, proof = under(far, **changes), certified("crown", 0, "1000000000")
    assert bool(told(attack, proof)) is false
    other = replace(attack, spec=replace(attack.spec, fit=replace(attack.spec.fit, seed=1)))
    assert not told(other, proof)


@pytest.mark.parametrize("certified_norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_ball_lies_in_that_of_every_smaller_norm(norm: str, certified_norm: str) -> None:
    """In four coordinates an l1 ball lies in the l2 ball of its radius, and that in the linf ball."""
    order = ["l1", "l2", "linf"]
    attack = replace(under(cell("pgd", 0, outcome("0000000000")), norm=norm), coordinates=4)
    proof = under(certified("crown", 0, "1000000000"), norm=certified_norm)
    assert bool(told(attack, proof)) is (order.index(norm) <= order.index(certified_norm))
    # A step of length 0.1 in one norm is no longer than this in the other.
    bound = 0.1 * {"l1 linf": 1, "l2 linf": 4**0.5, "l1 l2": 4**0.5}.get(f"{certified_norm} {norm}", 1)
    bound = 0.4 if (norm, certified_norm) == ("linf", "l1") else bound
    assert told(attack, under(proof, epsilon=bound + 1e-9))
    if bound > 0.1:
        assert not told(attack, under(proof, epsilon=bound - 1e-9))


@pytest.mark.parametrize("norm", sorted(BALLS))
@pytest.mark.parametrize("other", sorted(BALLS))
def test_no_step_is_longer_than_the_longest_and_one_is_as_long(norm: str, other: str) -> None:
    generator = torch.Generator().manual_seed(0)
    steps = torch.cat([torch.randn(200, 5, generator=generator), torch.eye(5), torch.ones(1, 5)])
    ratios = BALLS[other].length(steps) / BALLS[norm].length(steps)
    assert ratios.max().item() == pytest.approx(longest(norm, other, 5), rel=1e-12)


def test_an_attack_of_a_larger_ball_contradicts_by_its_distances() -> None:
    """Of three certified images that break, one breaks nearer than the certified radius and one exactly there."""
    distance = np.array([0.05, 0.1, np.nextafter(0.1, 1), *[0.3] * 7])
    wide = replace(under(cell("pgd", 0, outcome("0000000000")), epsilon=0.3), distance=distance)
    assert told(wide, certified("crown", 0, "1110000000")) == (
        "certificate 'crown' certifies 2 images that attack 'pgd' breaks at radius 0.3, by inputs within the certified "
        "linf 0.1: the proof is wrong"
    )
    assert not told(wide, certified("crown", 0, "0010000000"))
    unbroken = replace(wide, counterexample=np.zeros(10, bool))
    assert not told(unbroken, certified("crown", 0, "1110000000"))
    assert "'pgd' breaks at l1 radius 0.05: the proof" in told(
        under(wide, norm="l1", epsilon=0.05), certified("crown", 0, "1000000000")
    )


def test_a_certificate_refutes_by_its_ball_alone() -> None:
    """Where it found an input is not known: one of a larger ball says nothing."""
    refuting, proof = certified("exact", 0, "0000000000", refuted="1000000000"), certified("crown", 0, "1000000000")
    for changes, false in (({"norm": "l2"}, True), ({"epsilon": 0.11}, False)):
        found = without_false_proofs([under(refuting, **changes), proof])
        assert [one.status for one in found] == ["invalid" if false else "ok"] * 2


def test_two_certificates_that_contradict_each_other_are_invalid() -> None:
    one, other = certified("crown", 0, "1100000000"), certified("exact", 0, "0000000000", refuted="0100000000")
    attack = cell("pgd", 0, outcome("0111111111"))
    assert [cell.status for cell in without_false_proofs([one, other, attack])] == ["invalid", "ok", "ok"]
    found = without_false_proofs([one, other])
    assert [cell.status for cell in found] == ["invalid"] * 2
    assert {cell.reason for cell in found} == {
        "certificate 'crown' certifies 1 image that certificate 'exact' refutes at radius 0.1: one of them is wrong"
    }


def test_a_false_proof_is_told_by_reports(tmp_path: Path) -> None:
    text = MATRIX.replace("certificates: {", "certificates: {hasty: {use: 'proofs.py:Linear', excess: 1.0}, ")
    found = bb.run(written(tmp_path, text), store=tmp_path / "store", jobs=0)
    assert not found.complete
    rows = {(row["certificate"], row["posterior"], row["epsilon"]): row for row in found.rows() if "certificate" in row}
    told = rows["hasty", "sgd", 0.05]
    assert told["status"] == "invalid"
    assert "certificate 'hasty' certifies" in told["reason"]
    assert "'pgd' breaks at radius 0.05: the proof is wrong" in told["reason"]
    assert rows["linear", "sgd", 0.05]["status"] == "ok"
    assert {row["status"] for row in found.rows() if row["kind"] == "attack"} == {"ok"}  # The core has scored them.
    assert told["reason"] in FORMATS["markdown"](found).replace("\\", "")
    # What `--only` leaves out still contradicts, and adds no row.
    for words in (["hasty"], ["hasty", "0.05"], ["pgd"]):
        some = Results(restricted(found.plan, words), found.store).rows()
        known = {row["cell"]: row["reason"] for row in found.rows()}
        assert [row["reason"] for row in some] == [known[row["cell"]] for row in some]
        assert len(some) == len(restricted(found.plan, words).cells)


@pytest.mark.parametrize(
    ("attack", "threat", "excluded", "where"),
    [
        ("pgd", "{epsilon: 0.05, norm: l2}", "norm: linf", " breaks at l2 radius 0.05: the proof is wrong"),
        ("fmn", "{epsilon: 0.3}", "epsilon: 0.05", " breaks at radius 0.3, by inputs within the certified linf 0.05: "),
        ("fmn", "{epsilon: 0.3, norm: l1}", "epsilon: 0.05", " breaks at l1 radius 0.3, by inputs within the "),
    ],
)
def test_a_run_tells_what_attacks_of_other_balls_refute(
    attack: str, threat: str, excluded: str, where: str, tmp_path: Path
) -> None:
    text = MATRIX.replace("epsilons: [0.0, 0.05]", f"threats: [{{epsilon: 0.05}}, {threat}]")
    text = text.replace("certificates: {", "certificates: {hasty: {use: 'proofs.py:Linear', excess: 1.0}, ")
    text = text.replace("{pgd: {steps: 5}}", f"{{{attack}: }}") + f"exclude: [{{attack: {attack}, {excluded}}}]\n"
    found = bb.run(written(tmp_path, text), store=tmp_path / "store", jobs=0)
    proofs = [row for row in found.rows() if row["kind"] == "certificate" and row["norm"] == "linf"]
    cells = {(row["certificate"], row["posterior"], row["epsilon"]): row for row in proofs}
    assert f"'{attack}'{where}" in cells["hasty", "sgd", 0.05]["reason"]
    assert {row["status"] for row in proofs if row["certificate"] == "linear"} == {"ok"}


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_a_sound_proof_is_not_refuted_by_the_coordinates_of_an_attack(norm: str, tmp_path: Path) -> None:
    """An input at linf distance 0.2 of two coordinates may lie at l2 distance 0.28 and l1 distance 0.4."""
    file = tmp_path / "benchmarks.yaml"
    file.write_text(
        f"threats: [{{epsilon: 0.2, norm: {norm}}}, {{epsilon: 0.25}}]\n"
        "evaluate: {images: 40}\ndatasets: {moons: {use: half-moons, train_size: 500, test_size: 100}}\n"
        "networks: {fc: {hidden: [8], activation: relu}}\nposteriors: {sgd: {epochs: 50}}\nattacks: {fmn: }\n"
        f"certificates: {{exact: }}\nexclude: [{{attack: fmn, norm: {norm}}}, {{certificate: exact, norm: linf}}]\n"
    )
    found = bb.run(file, store=tmp_path / "store", jobs=0)
    attack, proof = (next(cell for cell in found.cells if cell.spec.kind == kind) for kind in ("attack", "certificate"))
    assert [(cell.status, cell.reason) for cell in found.cells] == [("ok", "")] * 2
    assert attack.coordinates == 2
    # Taken for one coordinate, the attack would contradict the proof.
    assert without_false_proofs([replace(attack, coordinates=1), proof])[1].status == "invalid"
