"""How pictures look: settings of matplotlib, colours, markers and dashes.

Colours are those of Okabe and Ito (2008), which colour-blind readers tell apart, without yellow. Markers and dashes
differ too, so that lines can be told apart in grey.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bnnbench.evidence.figures.picture import Picture, Role

INK, GREY = "#222222", "#666666"
"""The colours of texts and strong lines, and of axes and captions."""
FILL = "#8a8a8a"
"""The colour of the hatching of areas between lines."""
FONT = ["DejaVu Sans"]
"""The font, which matplotlib brings along."""
SIZE = 9.0
"""The size of texts, in points."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f5539")
_MARKERS = ("s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 3)))
_SETTINGS = {
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": SIZE,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": SIZE,
    "axes.unicode_minus": False,
    "font.family": FONT,
    "font.size": SIZE,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "legend.fontsize": SIZE,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "svg.fonttype": "path",  # Every viewer shows the same letters.
    "svg.hashsalt": "bnnbench",
    "text.color": INK,
    "text.hinting": "no_hinting",  # Texts are measured as SVG draws them.
    "text.parse_math": False,  # A label may hold $ and _.
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
}


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """A context in which matplotlib has these settings, whatever the user's are."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


@dataclass(frozen=True)
class Look:
    """How a series looks: the arguments of matplotlib's lines, and the order of drawing."""

    colour: str
    marker: str
    dashes: Any
    width: float
    order: float


def looks(picture: Picture) -> dict[tuple[str, Role], Look]:
    """The look of each series by its label and role, the same in all panels."""
    found: dict[tuple[str, Role], Look] = {}
    for panel in picture.panels:
        for series in panel.series:
            key = (series.label, series.role)
            if key not in found:
                found[key] = _look(series.role, sum(role == series.role for _, role in found))
    return found


def _look(role: Role, place: int) -> Look:
    """The look of a series by its role and its place among those of the role."""
    if role == "plain":
        turns = place // len(_COLOURS) + place
        colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
        return Look(colour, marker, _DASHES[turns % len(_DASHES)], 1.3, 3.0)
    if role == "strong":
        # Wide and below the others, so that a line on it stays visible.
        return Look(INK, "o", _DASHES[place % len(_DASHES)], 3.2, 2.9)
    return Look(INK, "d", _DASHES[(place + 1) % len(_DASHES)], 1.3, 3.5)
