"""The marks of tables and their meaning."""

from __future__ import annotations

MARKS = {
    "~": "short posterior: not converged, so the row is about these draws, not the method's posterior",
    "!": "plain gradient exactly zero at some images (attacks follow a direction free of underflow)",
    "#": "a direction that the attack followed was exactly zero at some images: its number is not evidence",
    "=": "all clean images are given the same class, so the row says nothing about robustness",
    "+": "partial: a cell of this row has no outcome, so a mean lacks a seed, or the worst case lacks an attack",
}
"""The meaning of each mark, in the order in which tables list them."""
