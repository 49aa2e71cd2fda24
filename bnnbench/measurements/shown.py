"""Outcomes as people see them: lines for a console, HTML for a notebook, and a data frame with a row an image.

The functions take an `Outcome`, or anything with its attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from bnnbench.core.radius import level_text, short_radius
from bnnbench.errors import clean

if TYPE_CHECKING:
    import pandas


def lines_of(outcome: Any) -> str:
    """One line with the figures of an outcome, and a second one with its findings if there are any."""
    low, high = outcome.interval
    about = f"{_radius(outcome)}: " if outcome.threat else ""
    first = (
        f"Outcome({clean(outcome.attack) or 'attack'}, {about}robust {outcome.robust_accuracy:.3f} "
        f"[{low:.3f}, {high:.3f}], clean {outcome.clean_accuracy:.3f}, {len(outcome)} images, {_draws(outcome)})"
    )
    return f"{first}\n  {outcome.findings.in_a_line}" if outcome.findings else first


def table_of(outcomes: Sequence[Any]) -> str:
    """An HTML table with a row for each outcome, and the findings below it."""
    head = ("attack", "radius", "robust", "95% interval", "clean", "images", "draws")
    rows = "".join(_row("td", _figures(outcome)) for outcome in outcomes)
    notes = ""
    for outcome in outcomes:
        about = f"{_radius(outcome)}: " if outcome.threat and len(outcomes) > 1 else ""
        for finding in outcome.findings:
            notes += f"<li><b>{finding.severity}</b>: {escape(clean(f'{about}{finding}'))}</li>"
    return f"<table>{_row('th', head)}{rows}</table>" + (f"<ul>{notes}</ul>" if notes else "")


def frame_of(outcomes: Sequence[Any]) -> pandas.DataFrame:
    """A pandas data frame with a row for each image of each outcome."""
    import pandas

    parts = [pandas.DataFrame(_columns(outcome)) for outcome in outcomes]
    return pandas.concat(parts, ignore_index=True) if parts else pandas.DataFrame()


def _columns(outcome: Any) -> dict[str, Any]:
    """The columns of an outcome: what it is about, and its arrays (N,)."""
    threat, images = outcome.threat, range(len(outcome))
    about: dict[str, Any] = {"dataset": outcome.dataset, "posterior": outcome.posterior, "attack": outcome.attack}
    if threat is not None:
        about |= {"norm": threat.norm, "epsilon": threat.epsilon, "epsilon_text": level_text(threat.epsilon)}
    label = outcome.label
    columns = {
        "index": outcome.index,
        "label": label,
        "clean_prediction": outcome.clean_log_probs.argmax(-1),
        "attacked_prediction": outcome.attacked_log_probs.argmax(-1),
        "clean_correct": outcome.clean_correct,
        "attacked_correct": outcome.attacked_correct,
        "robust": outcome.robust,
        "distance": outcome.distance,
        "clean_log_prob": outcome.clean_log_probs[images, label],
        "attacked_log_prob": outcome.attacked_log_probs[images, label],
        "clean_entropy": outcome.clean_entropy,
        "attacked_entropy": outcome.attacked_entropy,
        "objective": outcome.objective,
        "passes": outcome.passes,
        "gradient_passes": outcome.gradient_passes,
        "zero_gradient": outcome.zero_gradient,
        "zero_direction": outcome.zero_direction,
    }
    return {name: value for name, value in about.items() if value != ""} | columns


def _figures(outcome: Any) -> list[str]:
    low, high = outcome.interval
    return [
        outcome.attack or "attack",
        _radius(outcome) if outcome.threat else "",
        f"{outcome.robust_accuracy:.3f}",
        f"[{low:.3f}, {high:.3f}]",
        f"{outcome.clean_accuracy:.3f}",
        str(len(outcome)),
        str(outcome.draws),
    ]


def _row(tag: str, texts: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(clean(text))}</{tag}>" for text in texts) + "</tr>"


def _radius(outcome: Any) -> str:
    assert outcome.threat is not None
    return f"{outcome.threat.norm} {short_radius(outcome.threat.epsilon)}"


def _draws(outcome: Any) -> str:
    return "1 draw" if outcome.draws == 1 else f"{outcome.draws} draws"
