"""Outcomes and certifications as people see them: lines for a console, HTML for a notebook, data frames by image.

The functions take an `Outcome`, a `Certification`, or anything with the attributes of `PerImage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from bnnbench.core.radius import level_text, short_radius
from bnnbench.errors import clean
from bnnbench.plugins.described import counted

if TYPE_CHECKING:
    import pandas


def lines_of(result: Any) -> str:
    """One line with the figures of a result, and a second one with its findings if there are any."""
    low, high = result.interval
    about = f"{_radius(result)}: " if result.threat else ""
    first = (
        f"{type(result).__name__}({clean(result.method) or result.kind}, {about}{result.word} {result.share:.3f} "
        f"[{low:.3f}, {high:.3f}], clean {result.clean_accuracy:.3f}, {len(result)} images, "
        f"{counted(result.draws, 'draw')})"
    )
    return f"{first}\n  {result.findings.in_a_line}" if result.findings else first


def table_of(model: Any, results: Sequence[Any]) -> str:
    """An HTML table with a row for each result, and the findings below it. `model` is the class of the results."""
    head = (model.kind, "radius", model.word, "95% interval", "clean", "images", "draws")
    rows = "".join(_row("td", _figures(result)) for result in results)
    notes = ""
    for result in results:
        about = f"{_radius(result)}: " if result.threat and len(results) > 1 else ""
        for finding in result.findings:
            notes += f"<li><b>{finding.severity}</b>: {escape(clean(f'{about}{finding}'))}</li>"
    return f"<table>{_row('th', head)}{rows}</table>" + (f"<ul>{notes}</ul>" if notes else "")


def frame_of(results: Sequence[Any]) -> pandas.DataFrame:
    """A pandas data frame with a row for each image of each result."""
    import pandas

    parts = [pandas.DataFrame(_about(result) | result.columns()) for result in results]
    return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame()


def _about(result: Any) -> dict[str, Any]:
    """The columns that say what a result is about: labels that are known, and the threat."""
    threat = result.threat
    about: dict[str, Any] = {"dataset": result.dataset, "posterior": result.posterior, result.kind: result.method}
    if threat is not None:
        about |= {"norm": threat.norm, "epsilon": threat.epsilon, "epsilon_text": level_text(threat.epsilon)}
    return {name: value for name, value in about.items() if value != ""}


def _figures(result: Any) -> list[str]:
    low, high = result.interval
    return [
        result.method or result.kind,
        _radius(result) if result.threat else "",
        f"{result.share:.3f}",
        f"[{low:.3f}, {high:.3f}]",
        f"{result.clean_accuracy:.3f}",
        str(len(result)),
        str(result.draws),
    ]


def _row(tag: str, texts: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(clean(text))}</{tag}>" for text in texts) + "</tr>"


def _radius(result: Any) -> str:
    assert result.threat is not None
    return f"{result.threat.norm} {short_radius(result.threat.epsilon)}"
