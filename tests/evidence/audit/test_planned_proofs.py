"""The certificates of a benchmarks file in its audits: those that bound, those that are wrong, and those left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import bnnbench as bb
from bnnbench.evidence.audit.planned import extended, free_audits, subjects
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan, restricted
from bnnbench.store import codec
from tests.support.commands import called
from tests.support.proofs import written

AUDITED = """\
epsilons: [0.05]
evaluate: {images: 40}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 100}}
networks: {line: {use: 'proofs.py:Line'}}
posteriors: {sgd: {epochs: 5}}
attacks: {pgd: {steps: 5}}
"""


STILL = """\
from bnnbench import Attack


class Still(Attack):
    def perturb(self, victim, x, y, threat, rng):
        return x
"""


def audited(folder: Path, certificates: str) -> tuple[dict[str, Any], str]:
    """The one audit of a benchmarks file with these certificates, and the table on one line."""
    short = "checks: {noise: {tries: 10}, black-box: {queries: 50}}"
    written(folder, f"{AUDITED}{short}\ncertificates: {certificates}\n")
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


@pytest.mark.parametrize("words", [["pgd"], ["pgd", "0.05"], []])
def test_a_proof_counts_whether_only_leaves_it_out_or_not(words: list[str], tmp_path: Path) -> None:
    written(tmp_path, f"{AUDITED}certificates: {{sound: {{use: 'proofs.py:Linear'}}}}\n")
    (tmp_path / "store").mkdir()
    before = called("audit", "--look", "--only", "pgd", "--format", "json", folder=tmp_path)
    assert json.loads(before.stdout)[0]["bracket_low"] is None
    done = called("run", "-j", "0", folder=tmp_path)
    assert done.returncode == 0
    given = [part for word in words for part in ("--only", word)]
    (audit,) = json.loads(called("audit", "--look", *given, "--format", "json", folder=tmp_path).stdout)
    assert audit["bracket_low"] == audit["bracket_high"] == audit["reported"]
    assert not [name for name in audit["unseen"] if name.startswith("bracket")]


@pytest.mark.parametrize("words", [["--only", "pgd"], ["--only", "still"], []])
def test_a_false_proof_raises_c1_whether_only_leaves_it_out_or_not(words: list[str], tmp_path: Path) -> None:
    """The attack that contradicts it may be left out too."""
    text = AUDITED.replace("{pgd: {steps: 5}}", "{pgd: {steps: 5}, still: {use: 'still.py:Still'}}")
    (tmp_path / "still.py").write_text(STILL)
    written(tmp_path, f"{text}certificates: {{hasty: {{use: 'proofs.py:Linear', excess: 1.0}}}}\n")
    assert called("run", "-j", "0", folder=tmp_path).returncode == 1
    (audit,) = json.loads(called("audit", "--look", *words, "--format", "json", folder=tmp_path).stdout)
    assert audit["flags"][-1] == "C1"
    (look,) = [look for look in audit["looks"] if look["flag"] == "C1"]
    assert "certificate 'hasty' certifies 2 images that attack 'pgd' breaks at radius 0.05" in look["text"]


def test_free_audits_load_each_outcome_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of larger radii look at the outcomes of smaller ones too."""
    written(tmp_path, AUDITED.replace("[0.05]", "[0.02, 0.05, 0.1]").replace("{pgd: {steps: 5}}", "{fgsm: , pgd: }"))
    results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    assert len(results.cells) == 6
    loads, load = [], codec.loaded

    def counted(store: Any, key: str, *given: Any) -> Any:
        loads.append(key)
        return load(store, key, *given)

    monkeypatch.setattr(codec, "loaded", counted)
    assert [audit.radius for audit in free_audits(results)] == ["0.02", "0.05", "0.1"]
    assert sorted(loads) == sorted(cell.spec.key for cell in results.cells)


def test_what_only_leaves_out_is_not_run_by_an_audit(tmp_path: Path) -> None:
    written(tmp_path, f"{AUDITED}certificates: {{sound: {{use: 'proofs.py:Linear'}}}}\n")
    plan = restricted(make_plan(read_config(tmp_path / "benchmarks.yaml")), "pgd")
    (subject,) = subjects(plan)
    assert list(subject.proofs.all) == ["crown", "sound"]
    asked = {spec.component for spec in extended(plan).cells if isinstance(spec.component, bb.Certificate)}
    assert asked == {subject.proofs.all["crown"]}


def test_the_cells_of_an_audit_are_named_after_the_check_that_asks(tmp_path: Path) -> None:
    written(tmp_path, f"{AUDITED}certificates: {{sound: {{use: 'proofs.py:Linear'}}}}\n")
    plan = make_plan(read_config(tmp_path / "benchmarks.yaml"))
    further = extended(plan).cells[len(plan.cells) :]
    labels = {spec.label for spec in further}
    assert {"audit:convergence:pgd", "audit:noise:random-sign", "audit:bracket:crown"} <= labels
    assert all(label.count(":") == 2 for label in labels if label.startswith("audit:"))
    # A name is no part of what is computed: the subject finds the cell by its key without the name.
    (subject,) = subjects(plan)
    assert all(subject.asked(bb.Ask(spec.component, spec.threat)).key == spec.key for spec in further)
