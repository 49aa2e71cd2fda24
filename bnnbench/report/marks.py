"""The marks of tables and their meaning."""

from __future__ import annotations

from bnnbench.evidence.marks import MARKS

__all__ = ["MARKS"]
