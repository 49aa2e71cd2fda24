"""One panel of a picture in matplotlib: its lines, bands, areas and axes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from bnnbench.evidence.figures.picture import Area, Axis, Panel, Role, Series
from bnnbench.report.figures.style import FILL, Look

MOST_MARKERS = 12
"""The largest number of points that all have a marker; of more, some have one."""
Looks = Mapping[tuple[str, Role], Look]


def draw_panel(axes: Any, panel: Panel, looks: Looks) -> dict[tuple[str, str], Any]:
    """Draw the contents of a panel; returns the handles of the legend by role (`area` for areas) and label."""
    handles: dict[tuple[str, str], Any] = {}
    for series in panel.series:
        handles.setdefault((series.role, series.label), _draw_series(axes, series, looks[series.label, series.role]))
    for area in panel.areas:
        handles.setdefault(("area", area.label), _draw_area(axes, area))
    return handles


def set_axes(axes: Any, x: Axis, y: Axis) -> None:
    """Set the axes of a panel, once all panels are drawn: panels that share an axis share its free ends too."""
    _set_axis(axes, "x", x)
    _set_axis(axes, "y", y)
    _show_whole(axes)


def _show_whole(axes: Any) -> None:
    """Show lines and markers on the ends of the axes whole, unless the ends cut off points."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for line in axes.lines:
        x, y = line.get_data()
        if min(x) >= left and max(x) <= right and min(y) >= bottom and max(y) <= top:
            line.set_clip_on(False)


def _draw_series(axes: Any, series: Series, look: Look) -> Any:
    """Draw a series with its band; returns the handle of its line."""
    step = {"drawstyle": "steps-post"} if series.steps else {}
    (line,) = axes.plot(
        series.x,
        series.y,
        color=look.colour,
        linestyle=look.dashes,
        linewidth=look.width,
        marker=look.marker,
        markevery=_marked(len(series.x)),
        zorder=look.order,
        solid_capstyle="round",
        **step,
    )
    if series.low and series.band:
        axes.fill_between(
            series.x,
            series.low,
            series.high,
            step="post" if series.steps else None,
            color=look.colour,
            alpha=0.16,
            linewidth=0,
            zorder=look.order - 2,
        )
    for point in _open(series):
        axes.plot(
            [series.x[point]],
            [series.y[point]],
            color=look.colour,
            marker=look.marker,
            markersize=6,
            markerfacecolor="white",
            zorder=5.0,
        )
    return line


def _marked(points: int) -> slice:
    """Which of a number of points have a marker."""
    if points <= MOST_MARKERS:
        return slice(0, None, 1)
    step = -(-points // 6)
    return slice(step // 2, None, step)


def _open(series: Series) -> Sequence[int]:
    """The points that have an open marker: all that are open, or of many those that have a marker anyway."""
    points = [point for point, is_open in enumerate(series.open) if is_open]
    if len(points) <= MOST_MARKERS:
        return points
    return [point for point in range(len(series.x))[_marked(len(series.x))] if series.open[point]]


def _draw_area(axes: Any, area: Area) -> Any:
    """Draw an area, hatched so that it differs from bands in grey too; returns its handle."""
    x, low, high = _stepped(area) if area.steps else (area.x, area.low, area.high)
    return axes.fill_between(x, low, high, facecolor="none", edgecolor=FILL, hatch="////", linewidth=0, zorder=2.5)


def _stepped(area: Area) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    """The corners of an area with steps: two for each two neighbouring points, x, the lower and the upper ends."""
    x = [end for two in itertools.pairwise(area.x) for end in two]
    return x, [end for end in area.low[1:] for _ in range(2)], [end for end in area.high[:-1] for _ in range(2)]


def _set_axis(axes: Any, name: str, axis: Axis) -> None:
    """Give an axis of a panel its ends, scale and ticks."""
    from matplotlib import ticker

    which = getattr(axes, f"{name}axis")
    if axis.log:
        getattr(axes, f"set_{name}scale")("log")
        which.set_minor_locator(ticker.NullLocator())
    if axis.ticks:
        which.set_major_locator(ticker.FixedLocator(list(axis.ticks)))
    elif not axis.log:
        which.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    scale = 100 if axis.percent else 1
    which.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{round(scale * value, 10):.6g}"))
    low, high = getattr(axes, f"get_{name}lim")()
    getattr(axes, f"set_{name}lim")(low if axis.low is None else axis.low, high if axis.high is None else axis.high)
