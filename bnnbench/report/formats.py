"""The formats of reports, except the table for terminals."""

from __future__ import annotations

from collections.abc import Callable

from bnnbench.evidence.results import Results
from bnnbench.report.latex import to_latex
from bnnbench.report.markdown import to_markdown
from bnnbench.report.rows import to_csv, to_json

FORMATS: dict[str, Callable[[Results], str]] = {
    "csv": to_csv,
    "json": to_json,
    "markdown": to_markdown,
    "latex": to_latex,
}
"""The function that writes each format, by name. `terminal` makes tables, which depend on the terminal's width."""
ROW_FORMATS: dict[str, Callable[[Results, str], str]] = {"csv": to_csv, "json": to_json}
"""The formats that write rows; their functions also take the kind of rows (`Results.rows`)."""
