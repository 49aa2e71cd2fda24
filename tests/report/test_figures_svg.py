"""Pictures as SVG: the same bytes, labels as they are, and no text that is cut or lies on another one."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.layout_engine import ConstrainedLayoutEngine

import bnnbench as bb
from bnnbench.report.figures.lettering import width_of, wrapped
from bnnbench.report.figures.style import looks, settings
from bnnbench.report.figures.svg import as_svg, laid_out

SHARES = bb.Axis("robust accuracy (%)", percent=True, low=0.0, high=1.0, ticks=(0, 0.5, 1))
LONG = "numpyro-nuts@max_tree_depth=5,prior_scale=0.3,warmup=5000"
ODD = ["$x_1^2$", "<b>a & b</b>", "50% \\alpha", "_hidden", "a--b", "r'\"", "été 数"]


def picture(panels: int = 1, labels: tuple[str, ...] = ("pgd",), caption: str = "What is shown.") -> bb.Picture:
    """A picture with lines in all roles."""
    x = [0.0, 0.05, 0.1]
    lines = [bb.Series(label, x, [0.9, 0.8, 0.7 - place / 20]) for place, label in enumerate(labels)]
    lines.append(bb.Series("worst", x, [0.9, 0.5, 0.1], [0.8, 0.4, 0.0], [1, 0.6, 0.2], "strong", open=[0, 1, 0]))
    area = bb.Area("bracket", x, [0.9, 0.4, 0.0], [0.9, 0.5, 0.1])
    each = [bb.Panel(f"{LONG} {place}", bb.Axis("radius", low=0.0), lines, [area]) for place in range(panels)]
    return bb.Picture("name", "Robust accuracy against radius: digits / fc", SHARES, each, caption)


def test_the_bytes_depend_on_the_picture_alone() -> None:
    first = as_svg(picture(2))
    with matplotlib.rc_context({"axes.facecolor": "red", "font.family": "serif", "xtick.direction": "in"}):
        before = dict(matplotlib.rcParams)
        assert as_svg(picture(2)) == first
        assert dict(matplotlib.rcParams) == before
    assert as_svg(picture(2, ("fgsm",))) != first
    assert "<dc:date>" not in first
    assert "<dc:title>Robust accuracy against radius: digits / fc</dc:title>" in first


@pytest.mark.parametrize("label", ODD)
def test_labels_are_drawn_as_they_are(label: str) -> None:
    made = as_svg(
        bb.Picture(label, label, bb.Axis(label), [bb.Panel(label, bb.Axis(label), [bb.Series(label, [1], [2])])], label)
    )
    root = ElementTree.fromstring(made)
    titles = [one.text for one in root.iter("{http://purl.org/dc/elements/1.1/}title")]
    assert titles == [label]
    with settings():
        figure = laid_out(picture(1, (label,), label))
        FigureCanvasAgg(figure).draw()
        (legend,) = figure.legends
        (text,) = [one for one in legend.get_texts() if one.get_text() == label]
        # Mathematics would be narrower than the letters that stand for it.
        box = text.get_window_extent()
    assert box.width / figure.dpi == pytest.approx(width_of(label), rel=0.12)


@pytest.mark.parametrize("panels", [1, 3, 4, 8])
@pytest.mark.parametrize("labels", [("pgd",), tuple(f"{LONG},steps={steps}" for steps in range(9)), ("x" * 300,)])
def test_no_text_is_cut_or_lies_on_another_one(panels: int, labels: tuple[str, ...]) -> None:
    with settings():
        figure = laid_out(picture(panels, labels, "A long caption of many words. " * 20))
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        boxes = [one.get_window_extent(renderer) for one in (*figure.texts, *figure.legends)]
        shown = [one for one in figure.axes if one.axison]
        boxes += [one.get_tightbbox(renderer) for one in shown]
    assert len(shown) == panels
    width, height = canvas.get_width_height()
    for box in boxes:
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1
    for one, other in itertools.combinations(boxes, 2):
        shared = (min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0))
        assert min(shared) < 2


@pytest.mark.parametrize("panels", [1, 3])
def test_the_places_of_panels_are_settled(panels: int) -> None:
    """Otherwise their last digits differ from time to time, and with them the bytes."""
    with settings():
        figure = laid_out(picture(panels))
        places = [one.get_position().bounds for one in figure.axes]
        for bounds in places:
            assert bounds == pytest.approx([round(edge, 6) for edge in bounds], rel=0, abs=1e-14)
        assert not isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine)
        # A layout that were still active would make room for the label.
        figure.axes[0].set_ylabel("\n" * 9)
        FigureCanvasAgg(figure).draw()
    assert [one.get_position().bounds for one in figure.axes] == places


def drawn_axes(made: bb.Picture) -> Any:
    """The axes of the first panel, after drawing."""
    with settings():
        figure = laid_out(made)
        FigureCanvasAgg(figure).draw()
    return figure.axes[0]


def test_what_is_drawn_is_what_the_series_say() -> None:
    axes = drawn_axes(picture())
    pgd, worst, care = axes.lines
    assert np.array_equal(pgd.get_xydata(), [[0, 0.9], [0.05, 0.8], [0.1, 0.7]])
    assert np.array_equal(worst.get_xydata(), [[0, 0.9], [0.05, 0.5], [0.1, 0.1]])
    assert np.array_equal(care.get_xydata(), [[0.05, 0.5]])
    assert care.get_markerfacecolor() == "white"
    band, area = axes.collections
    assert {(round(x, 9), round(y, 9)) for x, y in band.get_paths()[0].vertices} == {
        *((0, 0.8), (0.05, 0.4), (0.1, 0), (0, 1), (0.05, 0.6), (0.1, 0.2))
    }
    assert area.get_hatch()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0", "50", "100"]
    assert axes.get_ylim() == (0.0, 1.0)


def test_an_area_of_what_only_falls_holds_all_that_two_neighbours_allow() -> None:
    area = bb.Area("bracket", [0.0, 0.05, 0.1], [0.9, 0.4, 0.0], [0.9, 0.5, 0.1], steps=True)
    panel = bb.Panel("", bb.Axis("radius"), [bb.Series("a", [0.0, 0.1], [0.9, 0.1])], [area])
    (drawn,) = drawn_axes(bb.Picture("n", "t", SHARES, [panel])).collections
    (path,) = drawn.get_paths()
    for x, low, high in ((0.01, 0.4, 0.9), (0.049, 0.4, 0.9), (0.051, 0.0, 0.5), (0.099, 0.0, 0.5)):
        inside = [y / 100 for y in range(-10, 110) if path.contains_point((x, y / 100 + 0.005))]
        assert (min(inside), max(inside)) == (low, pytest.approx(high - 0.01))


def test_a_band_may_be_left_to_the_csv_file() -> None:
    lines = [bb.Series(str(band), [0, 1], [0.5, 0.5], [0.4, 0.4], [0.6, 0.6], band=band) for band in (True, False)]
    axes = drawn_axes(bb.Picture("n", "t", SHARES, [bb.Panel("", bb.Axis("x"), lines)]))
    assert len(axes.collections) == 1


def test_points_outside_of_given_ends_are_cut_off() -> None:
    inside, outside = bb.Series("in", [0, 1], [0.0, 1.0]), bb.Series("out", [0, 1], [0.5, 1.5])
    axes = drawn_axes(bb.Picture("n", "t", SHARES, [bb.Panel("", bb.Axis("x"), [inside, outside])]))
    assert [line.get_clip_on() for line in axes.lines] == [False, True]


@pytest.mark.parametrize("low", [None, -1.0])
def test_an_axis_whose_ends_are_free_holds_the_points_of_all_panels(low: float | None) -> None:
    panels = [bb.Panel(f"{top}", bb.Axis("x"), [bb.Series("a", [0, 1], [0, top])]) for top in (1.0, 7.0)]
    with settings():
        first, second = laid_out(bb.Picture("p", "title", bb.Axis("y", low=low), panels)).axes
    assert first.get_ylim() == second.get_ylim()
    assert second.get_ylim()[1] >= 7
    assert low is None or first.get_ylim()[0] == low


def test_every_series_has_a_look_of_its_own_in_colour_and_in_grey() -> None:
    found = looks(picture(2, tuple(f"attack {place}" for place in range(20))))
    assert len(found) == 21
    assert len({(look.marker, str(look.dashes), look.width) for look in found.values()}) == 21


def test_a_logarithmic_axis_has_the_given_ticks() -> None:
    axis = bb.Axis("steps", log=True, ticks=(1, 5, 50))
    axes = drawn_axes(bb.Picture("n", "t", SHARES, [bb.Panel("", axis, [bb.Series("a", [1, 5, 50], [1, 1, 0])])]))
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "5", "50"]


def test_texts_are_wrapped_between_words_and_swept_values() -> None:
    lines = wrapped(LONG, 2.2).split("\n")
    assert len(lines) > 1
    assert "".join(lines) == LONG
    assert all(line.endswith((",", "@")) for line in lines[:-1])
    assert all(width_of(line) <= 2.2 for line in wrapped("words of a caption " * 9 + "y" * 99, 2.2).split("\n"))
    assert wrapped("", 1.0) == ""
    assert wrapped("a\nb", 1.0) == "a\nb"
