"""Pictures of numbers as data: panels of series and areas. The core draws them, so that all pictures look alike."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

Role = Literal["plain", "strong", "bound"]
"""`plain`: one of several, told apart by colour, marker and dashes. `strong`: the main series. `bound`: a lower one."""
Numbers = Sequence[float] | NDArray[Any]
"""Numbers in any form; the classes below hold them as tuples of plain numbers."""


@dataclass(frozen=True)
class Axis:
    """An axis of panels.

    Attributes:
        label: what the axis shows, with its unit.
        percent: whether the values are shares, of which percents are shown.
        log: whether the axis is logarithmic.
        low, high: the ends of the axis; by default those of the values.
        ticks: the only values that are marked; by default some round ones.
    """

    label: str
    percent: bool = False
    log: bool = False
    low: float | None = None
    high: float | None = None
    ticks: Numbers = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ticks", _numbers(self.ticks, f"ticks of the axis {self.label!r}"))


@dataclass(frozen=True)
class Series:
    """A line through points, with a band around it if `low` and `high` are given.

    Attributes:
        label: its name in the legend. Series of one label look alike in all panels.
        x, y: the points.
        low, high: the ends of the band at each point, such as those of an interval.
        role: how it stands out.
        steps: whether the value stays the same up to the next point, as in a cumulative share.
        open: which points have an open marker, because they are to be read with care; the caption must say why.
        band: whether the band is drawn; the csv file has `low` and `high` anyway.
    """

    label: str
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    role: Role = "plain"
    steps: bool = False
    open: Sequence[bool] = ()
    band: bool = True

    def __post_init__(self) -> None:
        _check(self, self.label, ("x", "y"), ("low", "high"))
        flags = tuple(map(bool, self.open))
        if flags and len(flags) != len(self.x):
            raise ValueError(f"series {self.label!r}: open has {len(flags)} values and x {len(self.x)}")
        object.__setattr__(self, "open", flags)


@dataclass(frozen=True)
class Area:
    """A shaded area between two ends, such as a bracket.

    Attributes:
        label: its name in the legend.
        x, low, high: the ends at each point.
        steps: whether the area bounds something that can only fall as x rises. Between two points its upper end is
            then that of the point before, and its lower end that of the point after. Otherwise straight lines join the
            ends.
    """

    label: str
    x: Numbers
    low: Numbers
    high: Numbers
    steps: bool = False

    def __post_init__(self) -> None:
        _check(self, self.label, ("x", "low", "high"), ())
        if self.steps and any(after <= before for before, after in itertools.pairwise(self.x)):
            raise ValueError(f"x of the area {self.label!r} does not rise from point to point, as steps need")


@dataclass(frozen=True)
class Panel:
    """One pair of axes: its title, its x axis, and what is drawn in it. The y axis is that of the picture."""

    title: str
    x: Axis
    series: Sequence[Series]
    areas: Sequence[Area] = ()

    def __post_init__(self) -> None:
        for name, kind in (("series", Series), ("areas", Area)):
            object.__setattr__(self, name, _all(getattr(self, name), kind, f"{name} of the panel {self.title!r}"))


@dataclass(frozen=True)
class Picture:
    """One file of a figure.

    Attributes:
        name: the end of the file's name; it need not be a valid one.
        title: the title, one line.
        y: the axis that all panels share.
        panels: the panels, in the order in which they are read.
        caption: the text below the picture: what is shown, what bands and open markers mean.
    """

    name: str
    title: str
    y: Axis
    panels: Sequence[Panel]
    caption: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "panels", _all(self.panels, Panel, f"panels of the picture {self.name!r}"))
        if not self.panels:
            raise ValueError(f"the picture {self.name!r} has no panels")


def _check(item: Any, label: str, needed: tuple[str, ...], together: tuple[str, ...]) -> None:
    """Turn the numbers of a series or area into tuples, and raise `ValueError` if they do not belong together."""
    about = f"{type(item).__name__.lower()} {label!r}"
    for name in (*needed, *together):
        object.__setattr__(item, name, _numbers(getattr(item, name), f"{name} of the {about}"))
    lengths = {name: len(getattr(item, name)) for name in (*needed, *together)}
    if any(lengths[name] for name in together):
        needed += together
    if len({lengths[name] for name in needed}) > 1:
        raise ValueError(f"{about}: {', '.join(f'{name} has {lengths[name]}' for name in needed)} values")
    if not lengths[needed[0]]:
        raise ValueError(f"{about} has no points")


def _numbers(values: Any, about: str) -> tuple[float, ...]:
    """Values as plain finite numbers."""
    try:
        numbers = tuple(map(float, values))
    except (TypeError, ValueError):
        raise ValueError(f"{about} are not numbers") from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{about} are not all finite")
    return numbers


def _all(values: Any, kind: type, about: str) -> tuple[Any, ...]:
    """Values as a tuple; all must be of one class."""
    items = tuple(values)
    wrong = [item for item in items if not isinstance(item, kind)]
    if wrong:
        raise TypeError(f"{about}: {kind.__name__} is meant, not {type(wrong[0]).__name__}")
    return items
