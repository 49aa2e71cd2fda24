"""What figures say between the radii that were measured: robust accuracy only falls with the radius."""

from __future__ import annotations

from drawn import attacked, drawn, proven
from matplotlib.backends.backend_agg import FigureCanvasAgg

import bnnbench as bb
from bnnbench.report.figures.style import settings
from bnnbench.report.figures.svg import laid_out

DISTANCES = (0.015, 0.03, 0.045, 0.045, 0.055, 0.06, 0.06, 0.07, 0.09, 0.095)
"""The distance of each image to the nearest adversarial input: attacks and certificates are exact below."""


def withstanding(epsilon: float) -> str:
    """The images that withstand at a radius, as bits."""
    return "".join("01"[distance > epsilon] for distance in DISTANCES)


def hatched(picture: bb.Picture, x: float) -> tuple[float, float]:
    """The ends of the hatched areas of the first panel as drawn, at x."""
    with settings():
        figure = laid_out(picture)
        FigureCanvasAgg(figure).draw()
    (axes, *_) = figure.axes
    heights = [
        y
        for area in axes.collections
        if area.get_hatch()
        for path in area.get_paths()
        for y in (step / 1000 for step in range(1001))
        if path.contains_point((x, y))
    ]
    return (min(heights), max(heights)) if heights else (1.0, 0.0)


def test_the_hatched_bracket_holds_the_truth_at_every_radius_between_those_measured() -> None:
    cells = [
        make(label, withstanding(epsilon), epsilon=epsilon)
        for epsilon in (0.02, 0.08)
        for label, make in (("pgd", attacked), ("exact", proven))
    ]
    (picture,) = drawn("radius", cells)
    for x in (0.01, 0.021, 0.04, 0.05, 0.065, 0.079):
        low, high = hatched(picture, x)
        assert low - 0.001 <= withstanding(x).count("1") / 10 <= high + 0.001
    # Six images withstand at 0.05, where a straight line between the radii would be at (0.9 + 0.2) / 2.
    low, high = hatched(picture, 0.05)
    assert (round(low, 2), round(high, 2)) == (0.2, 0.9)
    assert hatched(picture, 0.085) == (1.0, 0.0)  # Nothing is said beyond the last radius.
    assert "Between two radii" in picture.caption


def test_a_bracket_joins_only_radii_of_the_same_seeds() -> None:
    """Seed 1 has no certificate at the largest radius: its numbers bound nothing of seed 0 alone."""
    cells = [
        make(label, bits, epsilon=epsilon, seed=seed)
        for epsilon, seed, bits in ((0.02, 0, "1111111110"), (0.02, 1, "1" * 10), (0.05, 0, "1111000000"))
        for label, make in (("pgd", attacked), ("exact", proven))
    ]
    cells += [attacked("pgd", "1" * 10, epsilon=0.05, seed=1), attacked("pgd", "1" * 10, epsilon=0.08, seed=1)]
    cells += [make("x", "1000000000", epsilon=0.08) for make in (attacked, proven)]
    areas = drawn("radius", cells)[0].panels[0].areas
    assert [(area.x, area.low, area.high) for area in areas] == [
        ((0.0, 0.02), (1.0, 0.95), (1.0, 0.95)),
        ((0.05, 0.08), (0.4, 0.1), (0.4, 0.1)),
    ]


def test_the_widths_of_the_figure_bracket_are_said_to_be_those_at_the_radii_alone() -> None:
    (picture,) = drawn("bracket", [attacked("pgd", "1" * 10), proven("exact", "1" * 10)])
    assert "Lines only join the points: between two radii the bracket is mostly wider" in picture.caption
