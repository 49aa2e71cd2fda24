"""Audits as tables, markdown and JSON: what is missing from a number, and which threat and seed it is about."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import bnnbench as bb
from bnnbench.evidence.audit.audit import Bracket, Flag
from bnnbench.report.audits import as_json, as_markdown, audit_grids
from bnnbench.report.measure_tables import Grid

THREAT = bb.Threat(epsilon=0.1)
CERTAIN = bb.Threat(epsilon=0.1, goal="lower-uncertainty", keep_label=True, level=0.25, queries=7, attack_draws=2)
SHOWN = bb.Look(True, 1.0, 0.5, "figure and threshold")


def audit(threat: bb.Threat = THREAT, **fields: Any) -> bb.Audit:
    given = {"reported": 0.5, "images": 40, "bracket": Bracket(None, 0.4), "attacks": ("fgsm",), "posterior": "vi"}
    return bb.Audit(threat, fields.pop("looked", []), **(given | fields))


def empty(**fields: Any) -> bb.Audit:
    return audit(reported=None, images=0, bracket=None, attacks=(), **fields)


def grid(*audits: bb.Audit) -> Grid:
    (found,) = audit_grids(audits)
    return found


def test_attacks_without_a_result_are_named_in_every_format_with_their_reasons() -> None:
    missing = {"pgd": "failed: too large", "square": "failed: too large", "standard": "skipped: stream fresh"}
    found = audit(missing=missing)
    for text in (repr(found), as_markdown([found]), found._repr_html_()):
        assert "not in the number: pgd, square: failed: too large" in text
        assert "not in the number: standard: skipped: stream fresh" in text
    table = grid(found)
    assert table.lines[0][2] == "50.0+"
    assert table.marks == ["+"]
    (told,) = json.loads(as_json([found]))
    assert (told["attacks"], told["missing"]) == (["fgsm"], missing)
    whole = grid(audit())
    assert (whole.lines[0][2], whole.marks) == ("50.0", [])
    assert not any("not in the number" in note for note in whole.notes)


def test_a_note_names_the_lines_that_it_is_about() -> None:
    other = bb.Threat(epsilon=0.2)
    table = grid(audit(missing={"pgd": "failed: x"}), audit(other))
    assert "not in the number: pgd: failed: x (vi at 0.1)" in table.notes
    # A line without a number was not looked at, so that the others are all that a check may be about.
    table = grid(audit(unseen={"A3 radius-rise": "y"}), empty(refusal="z"))
    assert "not looked at: A3 radius-rise: y" in table.notes
    many = [audit(bb.Threat(epsilon=0.1 * place), missing={"pgd": "x"} if place < 5 else {}) for place in range(1, 6)]
    assert "not in the number: pgd: x (4 of 5 lines)" in grid(*many).notes


def test_without_a_number_the_reasons_are_told_and_no_images_are_counted() -> None:
    found = empty(missing={"fgsm": "skipped: x", "pgd": "skipped: y"}, refusal="skipped: y")
    table = grid(found)
    assert table.title.endswith("audit of the robust accuracy in %")
    assert table.notes == ["no number: fgsm: skipped: x", "no number: pgd: skipped: y"]
    assert grid(empty(refusal="the network is random")).notes == ["the network is random"]
    assert grid(audit(images=1)).title.endswith(", 1 test image")


def test_flags_of_several_seeds_are_told_with_the_seed() -> None:
    flag = Flag("A1", "single-step", "refutes", SHOWN)
    table = grid(audit(looked=[flag], seed=0), audit(looked=[], seed=1))
    assert "A1 single-step, vi at 0.1 (seed 0): figure and threshold" in table.notes
    assert "A1 single-step, vi at 0.1: figure and threshold" in grid(audit(looked=[flag])).notes
    texts = repr(bb.Audits([audit(seed=0), audit(seed=1)])).splitlines()
    assert texts[0] == "vi linf 0.1 (seed 0): NOT REFUTED"


def test_a_flag_that_says_the_same_of_several_lines_is_told_once() -> None:
    flag, other = Flag("A14", "averaging", "note", SHOWN), Flag("A14", "averaging", "note", replace(SHOWN, text="else"))
    radii = [bb.Threat(epsilon=epsilon) for epsilon in (0.1, 0.2, 0.3)]
    table = grid(*(audit(one, looked=[seen]) for one, seen in zip(radii, (flag, other, flag), strict=True)))
    assert [note for note in table.notes if "A14" in note] == [
        "note A14 averaging, vi at 0.1, vi at 0.3: figure and threshold",
        "note A14 averaging, vi at 0.2: else",
    ]


def test_what_was_looked_at_and_raised_nowhere_is_listed_once() -> None:
    quiet = Flag("A2", "noise", "refutes", replace(SHOWN, fired=False))
    both = [Flag("A3", "one", "refutes", SHOWN), Flag("A3", "two", "refutes", replace(SHOWN, fired=False)), quiet]
    assert "looked at and not raised: A2" in grid(audit(looked=both), audit(bb.Threat(epsilon=0.2), looked=both)).notes
    assert audit(looked=both).quiet == ["A2"]


def test_the_threat_is_told_as_far_as_it_is_not_the_default() -> None:
    (told,) = json.loads(as_json([audit(CERTAIN)]))
    options = {"target": None, "score": "entropy", "keep_label": True, "level": 0.25}
    assert {name: told[name] for name in options} == options
    assert (told["goal"], told["queries"], told["attack_draws"]) == ("lower-uncertainty", 7, 2)
    assert json.loads(as_json([audit()]))[0]["queries"] is None
    for text in (repr(audit(CERTAIN)), as_markdown([audit(CERTAIN)])):
        assert "at most 7 queries per image; the attacker sees 2 draws; goal lower-uncertainty (keep label" in text
    assert "threat:" not in repr(audit()) + as_markdown([audit()])


def test_a_number_that_is_no_accuracy_is_not_called_one() -> None:
    """With the label kept, images whose prediction is right and certain are those that the attacker wants."""
    assert "robust accuracy" not in as_markdown([audit(CERTAIN)])
    assert "audit of the images that withstand in %" in as_markdown([audit(CERTAIN)])
    assert CERTAIN.aim.withstood in repr(audit(CERTAIN))


def test_audits_of_a_program_have_no_labels() -> None:
    table = grid(audit(posterior="", looked=[Flag("A1", "single-step", "refutes", SHOWN)]))
    assert table.title.startswith("audit of the robust accuracy")
    assert "A1 single-step, at 0.1: figure and threshold" in table.notes


def test_what_was_not_run_says_how_it_is_run() -> None:
    hint = "what was not run yet is run by bnnbench audit without --look"
    assert hint in grid(audit(unseen={"A2 noise": "missing: not run yet"})).notes
    assert hint in grid(empty(missing={"pgd": "missing: not run yet"})).notes
    assert hint not in grid(audit(unseen={"A2 noise": "skipped: x"})).notes
