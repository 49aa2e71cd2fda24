"""The result of an audit: its verdict, and what it prints."""

from __future__ import annotations

import pytest

import bnnbench as bb
from bnnbench.evidence.audit.audit import Bracket, Flag, Severity

THREAT = bb.Threat(epsilon=0.1)


def flag(code: str, *, fired: bool = True, severity: Severity = "refutes", remedy: str = "") -> Flag:
    return Flag(code, code.lower(), severity, bb.Look(fired, 1.0, 0.5, f"figure of {code}", remedy))


def audit(*looked: Flag, **fields: object) -> bb.Audit:
    given = {"reported": 0.5, "images": 40, "bracket": Bracket(None, 0.4), **fields}
    return bb.Audit(THREAT, list(looked), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("looked", "headline"),
    [
        ([], "NOT REFUTED"),
        ([flag("A1", fired=False)], "NOT REFUTED"),
        ([flag("A14", severity="note")], "NOT REFUTED"),
        ([flag("A1"), flag("A14", severity="note")], "UNTRUSTWORTHY (A1)"),
        ([flag("A3"), flag("A3"), flag("A5")], "UNTRUSTWORTHY (A3, A5)"),
    ],
)
def test_flags_that_refute_decide_the_verdict(looked: list[Flag], headline: str) -> None:
    found = audit(*looked)
    assert found.headline == headline
    assert found.verdict == headline.partition(" (")[0]


def test_without_a_number_there_is_no_verdict_about_it() -> None:
    assert bb.Audit(THREAT, []).verdict == "NO NUMBER"
    assert bb.Audit(THREAT, [flag("A7")], refusal="refused").verdict == "UNTRUSTWORTHY"


def test_no_verdict_says_robust() -> None:
    audits = [audit(), audit(flag("A1")), bb.Audit(THREAT, [])]
    assert not any("robust" in one.headline.lower() for one in audits)


def test_flags_that_refute_come_first() -> None:
    found = audit(flag("A5", severity="note"), flag("A8"), flag("A9", fired=False))
    assert [one.code for one in found.flags] == ["A8", "A5"]
    assert [one.code for one in found.refuting] == ["A8"]


def test_the_text_has_verdict_bracket_flags_and_what_was_not_looked_at() -> None:
    found = audit(
        flag("A1", remedy="mend it"),
        flag("A14", severity="note"),
        flag("A2", fired=False),
        unseen={"A12 sample-mismatch": "no reason"},
        dataset="moons",
        posterior="vi",
        bracket=Bracket(0.125, 0.4),
    )
    assert repr(found).splitlines() == [
        "moons vi linf 0.1: UNTRUSTWORTHY (A1)",
        "  reported 50.0%, truth within 12.5 to 40.0%, 40 images",
        "  refutes: A1 a1: figure of A1; mend it",
        "  note: A14 a14: figure of A14",
        "  not raised: A2",
        "  not looked at: A12 sample-mismatch: no reason",
    ]


def test_a_bracket_without_a_certificate_has_no_lower_end() -> None:
    assert str(Bracket(None, 0.4)) == "? to 40.0%"
    assert list(Bracket(None, 0.4)) == [0.0, 0.4]
    assert list(Bracket(0.25, 0.4)) == [0.25, 0.4]


def test_what_a_check_says_is_escaped_in_html() -> None:
    odd = Flag("A1", "a1", "refutes", bb.Look(True, 1, 0, "<script>"))
    html = audit(odd, dataset="<b>")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;" in html


def test_several_audits_are_printed_one_after_another() -> None:
    audits = bb.Audits([audit(), audit(flag("A1"))])
    assert repr(audits) == f"{audits[0]!r}\n{audits[1]!r}"
    assert audits._repr_html_().count("<ul>") == 2
    assert repr(bb.Audits()) == "no audits"


def test_a_refusal_that_a_check_explains_is_told_once() -> None:
    refused = bb.Audit(THREAT, [flag("A7")], refusal="figure of A7")
    assert repr(refused).count("figure of A7") == 1
    assert "  another reason" in repr(bb.Audit(THREAT, [flag("A7")], refusal="another reason")).splitlines()
