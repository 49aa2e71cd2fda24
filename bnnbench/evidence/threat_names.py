"""The names of threats in tables, and what the numbers under their goals count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bnnbench.core.threat import Threat
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.lines import ATTACK, threat_of
from bnnbench.plugins.described import counted


def threat_names(cells: Sequence[Cell]) -> dict[Threat, str]:
    """The name of each threat of a table of cells; see `names_of_threats`."""
    return names_of_threats(_radii(cells))


def names_of_threats(radii: Mapping[Threat, str]) -> dict[Threat, str]:
    """The name of each threat: its radius, and what else threats differ in: norm, access, queries, draws or goal.

    `radii` are the texts of the radii: a fraction stands as the file writes it. Numbers have six digits, or all if some
    radii would look alike.
    """
    short, differing = _short(radii), _differing(radii)
    return {threat: _joined(short[threat], _parts(threat), differing) for threat in radii}


def whole_names(cells: Sequence[Cell]) -> dict[Threat, str]:
    """The name of each threat of a table beside which no sentence says what its threats share.

    It is the norm and the radius, and what else threats differ in, from each other or from the default.
    """
    radii = _radii(cells)
    short, differing = _short(radii), _differing([*radii, Threat(0.0)])
    differing = [place for place in differing if place != _NORM]
    return {threat: f"{threat.norm} {_joined(short[threat], _parts(threat), differing)}" for threat in radii}


def withstood(cells: Sequence[Cell]) -> dict[str, str]:
    """The images that count under each goal of attacks other than `untargeted`, by the goal in words."""
    threats = [threat_of(cell) for cell in cells if cell.spec.kind == ATTACK]
    return {threat.goal_text: threat.aim.withstood for threat in threats if threat.goal != "untargeted"}


def goal_notes(cells: Sequence[Cell]) -> list[str]:
    """What numbers count under goals other than `untargeted`: a line for each goal."""
    return [f"{goal}: numbers count {images}" for goal, images in withstood(cells).items()]


def _radii(cells: Sequence[Cell]) -> dict[Threat, str]:
    """The text of the radius of each threat."""
    return {threat_of(cell): cell.spec.epsilon_text for cell in cells}


def _short(radii: Mapping[Threat, str]) -> Mapping[Threat, str]:
    """The texts of radii with six digits; the whole texts if some would look alike."""
    short = {threat: text if "/" in text else f"{threat.epsilon:g}" for threat, text in radii.items()}
    return short if len(set(short.values())) == len({threat.epsilon for threat in radii}) else radii


_NORM = 0
"""The place of the norm among the parts of a threat."""


def _parts(threat: Threat) -> tuple[str, ...]:
    """What a threat says besides its radius, in words."""
    return (
        str(threat.norm),
        str(threat.access),
        f"{threat.queries or 'unlimited'} queries",
        "all draws" if threat.attack_draws is None else counted(threat.attack_draws, "draw"),
        threat.goal_text,
    )


def _differing(threats: Iterable[Threat]) -> list[int]:
    """The places of the parts in which threats differ."""
    columns = zip(*map(_parts, threats), strict=True)
    return [place for place, texts in enumerate(columns) if len(set(texts)) > 1]


def _joined(radius: str, parts: Sequence[str], places: Iterable[int]) -> str:
    """A radius, and the parts at these places behind it."""
    return " ".join([radius, *(parts[place] for place in places)])
