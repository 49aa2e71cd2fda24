"""Records as text for people."""

from __future__ import annotations

from bnnbench.report.shown import record_text

RECORD = {
    "kind": "attack",
    "key": "abc",
    "status": "failed",
    "reason": "RuntimeError: only pairs",
    "warnings": [],
    "seconds": 0.1,
    "identity": {"seed": 0, "parameters": {"hidden": [8, 8], "bias": True}, "parts": [{"a": 1}, {"a": 2}]},
    "figures": {"clean_accuracy": 1 / 3, "zero_direction_share": None},
    "traceback": 'Traceback (most recent call last):\n  File "net.py"\nRuntimeError: only \x1b[31mpairs',
}


def test_figures_come_first_then_the_record_then_the_traceback() -> None:
    text = record_text(RECORD)
    assert text.splitlines()[:4] == [
        "kind      attack",
        "key       abc",
        "status    failed",
        "reason    RuntimeError: only pairs",
    ]
    places = [text.index(part) for part in ("status", "clean_accuracy", "\nrecord\n", "seconds", "Traceback")]
    assert places == sorted(places)
    assert "  clean_accuracy        0.3333333333333333\n  zero_direction_share  -\n" in text
    assert "    parameters\n      hidden  [8, 8]\n      bias    true\n" in text
    assert "    parts\n      0\n        a  1\n      1\n        a  2\n" in text
    assert text.endswith('  File "net.py"\nRuntimeError: only ?[31mpairs')


def test_records_of_strangers_are_shown_whatever_they_hold() -> None:
    for value in ("x\n\x1b[2J", [], [[1]], {}, {"": None}, None, 3, [{"a": {"b": []}}], {"\u202e": "y"}):
        text = record_text({"status": "ok", "card": value, "figures": value, "identity": value, "traceback": None})
        assert all(line.isprintable() for line in text.splitlines())
