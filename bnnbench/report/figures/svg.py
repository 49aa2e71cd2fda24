"""Pictures as SVG: the same bytes for the same picture in one environment.

From top to bottom: title, panels, legend, caption. Sizes are in inches; the width depends on the number of panels, and
the height on everything else, so that no text lies on another one or is cut.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from bnnbench.evidence.figures.picture import Picture
from bnnbench.report.figures.lettering import LINE, height_of, width_of, wrapped
from bnnbench.report.figures.panels import draw_panel, set_axes
from bnnbench.report.figures.style import GREY, INK, SIZE, looks, settings

_WIDTHS = {1: 6.0, 2: 7.2}
"""The width of a picture by its number of columns of panels: a page shows it without making letters much smaller."""
_PANELS = {1: 3.4, 2: 2.5}
"""The height of a panel with its labels, by the number of columns."""
_MARGIN, _GAP = 0.12, 0.1
_TITLE = 1.2
"""The size of the title in usual sizes."""
_ORDER = ("strong", "bound", "area", "plain")
"""The order of roles in legends."""


def as_svg(picture: Picture) -> str:
    """A picture as an SVG text."""
    buffer = io.BytesIO()
    with settings():
        metadata = {"Title": picture.title, "Description": picture.caption, "Date": None, "Creator": None}
        laid_out(picture).savefig(buffer, format="svg", metadata=metadata)
    return buffer.getvalue().decode()


def laid_out(picture: Picture) -> Any:
    """A picture as a matplotlib figure; it must be made and saved within `style.settings`."""
    from matplotlib.figure import Figure

    panels = picture.panels
    columns = min(len(panels), max(_WIDTHS))
    rows, width = math.ceil(len(panels) / columns), _WIDTHS[columns]
    figure = Figure(figsize=(width, 4.0))
    handles, heads = _panels(figure, picture, rows, columns)
    legend, legend_height = _legend(figure, handles, width - 2 * _MARGIN)
    title = wrapped(picture.title, width - 2 * _MARGIN, _TITLE)
    caption = wrapped(picture.caption, width - 2 * _MARGIN)
    base = _MARGIN + height_of(caption) + _GAP * bool(caption)  # of the legend
    foot = base + legend_height + _GAP * bool(legend_height)  # of the panels
    top = _MARGIN + height_of(title, _TITLE) + 0.04
    height = top + rows * (_PANELS[columns] + heads * LINE) + foot
    figure.set_size_inches(width, height)
    left = _MARGIN / width
    figure.text(left, 1 - _MARGIN / height, title, va="top", size=_TITLE * SIZE, in_layout=False)
    figure.text(left, _MARGIN / height, caption, va="bottom", color=GREY, linespacing=1.25, in_layout=False)
    if legend is not None:
        legend.set_bbox_to_anchor((left, base / height), figure.transFigure)
    figure.set_layout_engine("constrained", rect=(left, foot / height, 1 - 2 * left, 1 - (foot + top) / height))
    _settle(figure)
    return figure


def _settle(figure: Any) -> None:
    """Fix the places of the panels. The layout's last digits differ from time to time, and with them the bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for one in figure.axes:
        one.set_position([round(edge, 6) for edge in one.get_position().bounds])


def _panels(figure: Any, picture: Picture, rows: int, columns: int) -> tuple[dict[tuple[str, str], Any], int]:
    """Draw all panels; returns the handles of the legend, and the number of lines of the longest panel title."""
    axes = [*figure.subplots(rows, columns, squeeze=False, sharey=True).flat]
    panels, look = picture.panels, looks(picture)
    handles: dict[tuple[str, str], Any] = {}
    room, heads = _WIDTHS[columns] / columns - 0.6, 0
    for place, (one, panel) in enumerate(zip(axes, panels, strict=False)):
        handles = draw_panel(one, panel, look) | handles
        title = wrapped(panel.title, room)
        heads = max(heads, title.count("\n") + bool(title))
        one.set_title(title, loc="left", color=INK)
        one.set_ylabel("" if place % columns else wrapped(picture.y.label, _PANELS[columns] - 0.6))
        repeated = panels[place + columns : place + columns + 1] and panels[place + columns].x == panel.x
        one.set_xlabel("" if repeated else wrapped(panel.x.label, room))
    for one, panel in zip(axes, panels, strict=False):
        set_axes(one, panel.x, picture.y)
    for one in axes[len(panels) :]:
        one.set_axis_off()
    return handles, heads


def _legend(figure: Any, handles: dict[tuple[str, str], Any], width: float) -> tuple[Any, float]:
    """The legend in as many columns as fit, and its height; none for series without names."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    keys = sorted((key for key in handles if key[1]), key=lambda key: _ORDER.index(key[0]))
    if not keys:
        return None, 0.0
    texts = [wrapped(label, width - 0.7) for _, label in keys]
    columns = _columns(texts, width)
    # Labels that begin with _ are left out of legends, unless they are set afterwards.
    legend = figure.legend(
        [handles[key] for key in keys],
        ["-"] * len(keys),
        loc="lower left",
        ncols=columns,
        borderaxespad=0,
        borderpad=0,
        handlelength=3,
    )
    legend.set_in_layout(False)
    for place, text in zip(legend.get_texts(), texts, strict=True):
        place.set_text(text)
    box = legend.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    return legend, box.height / figure.dpi


def _columns(texts: Sequence[str], width: float) -> int:
    """The number of columns of a legend, each as wide as its longest text."""
    longest = max(width_of(line) for text in texts for line in text.split("\n"))
    return max(1, min(len(texts), int(width / (longest + 0.75))))
