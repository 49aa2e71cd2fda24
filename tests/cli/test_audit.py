"""`bnnbench audit`, what `plan` says of its cost, and the flags that `run` and `report` show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import called

TEXT = """\
epsilons: [0.05, 0.15]
evaluate: {images: 40}
datasets: {moons: {use: half-moons, train_size: 300, test_size: 40}}
networks: {fc: {hidden: [8]}}
posteriors: {sgd: {epochs: 40}}
attacks: {fgsm: , weak: {use: 'weak.py:WrongSign'}}
checks: {noise: {tries: 10}, black-box: {queries: 50}}
"""
WEAK = """\
from bnnbench import Attack


class WrongSign(Attack):
    \"\"\"Steps that lead away from the goal.\"\"\"

    traits = frozenset({"iterative"})

    def perturb(self, victim, x, y, threat, rng):
        return threat.project(x, x - threat.epsilon * threat.steepest(victim.direction(x, y, "log-margin")))


class Fails(Attack):
    \"\"\"Fails.\"\"\"

    def perturb(self, victim, x, y, threat, rng):
        raise RuntimeError("no luck")
"""


ASKING = """\
from bnnbench import Ask, Attack, Check, Look


class Fails(Attack):
    \"\"\"Fails.\"\"\"

    def perturb(self, victim, x, y, threat, rng):
        raise RuntimeError("no luck")


class Asking(Check):
    \"\"\"Asks for an attack that fails.\"\"\"

    flag = "Z1"

    def asks(self, case):
        return [Ask(Fails(), case.threat)]

    def look(self, case):
        case.outcome(Fails())
        return Look(False, 0, 0, "seen")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    (folder / "benchmarks.yaml").write_text(TEXT)
    (folder / "weak.py").write_text(WEAK)
    assert called("run", "-j", "0", folder=folder).returncode == 0
    return folder


def further(folder: Path) -> str:
    """What `plan` says of the cells that `audit` adds."""
    (line,) = [line for line in called("plan", folder=folder).stdout.splitlines() if "for bnnbench audit" in line]
    return line


def test_an_attack_with_the_wrong_sign_is_told_of_before_and_after_the_audit(folder: Path) -> None:
    table = called("report", folder=folder).stdout
    assert "flag A1, sgd at 0.15: fgsm breaks" in " ".join(table.split())
    assert "bnnbench audit says what to run" in " ".join(table.split())
    before = further(folder)
    assert "cells are left" in before

    done = called("audit", "-j", "0", "--format", "json", folder=folder)
    assert done.returncode == 0, done.stderr
    small, large = json.loads(done.stdout)
    assert (small["epsilon"], large["epsilon"], large["posterior"]) == (0.05, 0.15, "sgd")
    assert large["verdict"] == "UNTRUSTWORTHY"
    assert "A1" in large["flags"]
    assert 0 <= (large["bracket_low"] or 0) <= large["bracket_high"] <= large["reported"]
    looks = {look["check"]: look for look in large["looks"]}
    assert looks["single-step"]["figure"] < looks["single-step"]["threshold"] == 0.05
    assert "best of 10 random signs" in looks["noise"]["text"]
    assert "50 queries" in looks["black-box"]["text"]
    assert further(folder) == "for bnnbench audit: nothing is left to do"


def test_the_table_fits_80_columns_and_names_figure_threshold_and_remedy(folder: Path) -> None:
    done = called("audit", "-j", "0", folder=folder)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "moons / fc: audit of the robust accuracy in %, 40 test images"
    text = " ".join(done.stdout.split())
    assert "UNTRUSTWORTHY (A1" in text
    assert "flag below 0.05); give weak more steps, or mend it" in text
    assert "not looked at: A12 sample-mismatch: the reported attacker has all draws that defend already" in text
    markdown = called("audit", "-j", "0", "--format", "markdown", folder=folder).stdout
    assert "| posterior | eps | reported | truth within | verdict |" in markdown


def test_a_look_at_a_store_that_is_not_there_is_a_mistake(folder: Path) -> None:
    done = called("audit", "--look", "--store", "nowhere", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bnnbench: nowhere: there is no such store, so there is nothing to look at\n"
    assert not (folder / "nowhere").exists()


def test_a_look_runs_nothing_and_says_what_could_not_be_seen(folder: Path) -> None:
    (folder / "nothing").mkdir()
    done = called("audit", "--look", "--format", "json", "--store", "nothing", folder=folder)
    audits = json.loads(done.stdout)
    assert done.returncode == 1
    assert {audit["verdict"] for audit in audits} == {"NO NUMBER"}
    assert {audit["refusal"] for audit in audits} == {"missing: not run yet"}
    assert [audit["missing"] for audit in audits] == [dict.fromkeys(["fgsm", "weak"], "missing: not run yet")] * 2
    table = " ".join(called("audit", "--look", "--store", "nothing", folder=folder).stdout.split())
    assert "moons / fc: audit of the robust accuracy in % posterior" in table
    assert "no number: fgsm, weak: missing: not run yet" in table
    assert "is run by bnnbench audit without --look" in table
    assert not list((folder / "nothing").rglob("*.json"))


def test_a_wrong_threshold_is_a_mistake_of_the_file(folder: Path) -> None:
    (folder / "wrong.yaml").write_text(TEXT.replace("tries: 10", "tires: 10"))
    done = called("audit", "wrong.yaml", folder=folder)
    assert done.returncode == 2
    assert done.stderr == "wrong.yaml:7:18: checks.noise: noise has no parameter 'tires'; did you mean 'tries'?\n"


def test_an_attack_that_fails_is_named_with_its_reason(folder: Path) -> None:
    attacks = "attacks: {fgsm: , weak: {use: 'weak.py:Fails'}}"
    lines = [attacks if line.startswith("attacks:") else line for line in TEXT.splitlines()]
    (folder / "failing.yaml").write_text("\n".join(lines))
    done = called("audit", "failing.yaml", "-j", "0", "--format", "json", folder=folder)
    assert done.returncode == 1
    for audit in json.loads(done.stdout):
        assert audit["attacks"] == ["fgsm"]
        assert audit["reported"] is not None
        assert audit["missing"]["weak"].startswith("failed: ")
        assert "no luck" in audit["missing"]["weak"]
    table = " ".join(called("audit", "--look", "failing.yaml", folder=folder).stdout.split())
    assert "+ partial: a seed, an attack or a certificate is missing" in table
    assert "not in the number: weak: failed: " in table


def test_what_checks_ask_for_decides_the_exit_code_too(tmp_path: Path) -> None:
    """The cells of the file are all there. Those that the audit adds are missing first, and fail then."""
    text = TEXT.replace("epsilons: [0.05, 0.15]", "epsilons: [0.05]")
    text = text.replace("{fgsm: , weak: {use: 'weak.py:WrongSign'}}", "{pgd: {steps: 2}}")
    text = text.replace("checks: {", "checks: {asking: {use: 'asking.py:Asking'}, ")
    (tmp_path / "benchmarks.yaml").write_text(text)
    (tmp_path / "asking.py").write_text(ASKING)
    assert called("run", "-j", "0", folder=tmp_path).returncode == 0
    assert called("audit", "--look", "--only", "pgd", folder=tmp_path).returncode == 1
    done = called("audit", "-j", "0", "--format", "json", folder=tmp_path)
    reasons = [audit["unseen"]["Z1 asking"] for audit in json.loads(done.stdout)]
    assert [("failed: " in reason and "no luck" in reason) for reason in reasons] == [True]
    assert done.returncode == 1
    assert called("audit", "--look", folder=tmp_path).returncode == 1
