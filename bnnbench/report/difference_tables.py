"""Tables of differences: one for each data set and network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bnnbench.core.threat import Threat
from bnnbench.evidence.cell import Cell
from bnnbench.evidence.difference import Difference, Differences
from bnnbench.evidence.lines import ATTACK, threat_of
from bnnbench.evidence.marks import MARKS
from bnnbench.evidence.threat_names import goal_notes, threat_names
from bnnbench.plugins.described import counted
from bnnbench.report.difference_notes import points
from bnnbench.report.measure_tables import Grid

_HEADS = {
    "posteriors": ["first", "second", "eps"],
    "attacks": ["posterior", "eps", "first", "second"],
    "results": ["posterior", "eps", "attack"],
}
"""The columns that name a difference, by what is compared."""


def difference_grids(found: Differences, cells: Sequence[Cell]) -> list[Grid]:
    """The tables of differences, in the order of the file; `cells` are those that they are about."""
    threats = threat_names([cell for cell in cells if cell.spec.kind == ATTACK])
    places: dict[tuple[str, str], list[Difference]] = {}
    for one in found:
        places.setdefault((one.pair.dataset, one.pair.network), []).append(one)
    grids = [_grid(some, threats) for some in places.values()]
    if grids:
        compared = {one.pair.threat for one in found}
        goals = goal_notes([cell for cell in cells if cell.spec.threat is not None and threat_of(cell) in compared])
        grids[-1].notes.extend([*goals, *_notes(found)])
    return grids


def _grid(some: Sequence[Difference], threats: Mapping[Threat, str]) -> Grid:
    """The table of the differences of one data set and network."""
    pair, images, seeds = some[0].pair, some[0].images, max(len(one.pair.seeds) for one in some)
    heads = _HEADS[pair.compared]
    lines = [[*(_name(one, head, threats) for head in heads), *_figures(one)] for one in some]
    used = "".join([*("".join(one.pair.marks) for one in some), "+" * any(one.pair.partial for one in some)])
    what = "robust accuracy" if all(one.pair.threat.goal == "untargeted" for one in some) else "images that withstood"
    about = f"{counted(images, 'test image')}{f', mean over {seeds} seeds' if seeds > 1 else ''}"
    return Grid(
        f"{pair.dataset} / {pair.network}: {what}, first less second, in points; {about}",
        len(heads),
        [*heads, "points", "95% interval", "p", "p Holm", "holds"],
        lines,
        [mark for mark in MARKS if mark in used],
    )


def _name(one: Difference, head: str, threats: Mapping[Threat, str]) -> str:
    """The text of a column that names a difference, with the marks of what it names."""
    pair = one.pair
    shared = "".join(mark for mark in MARKS if mark in pair.marks[0] + pair.marks[1])
    # A mark stands at what it is about: of two attacks or results the posterior is the same.
    first, second = (mark.replace("~", "") if pair.compared == "attacks" else mark for mark in pair.marks)
    of_posterior = {"posteriors": "", "attacks": "~" * ("~" in shared), "results": shared}[pair.compared]
    return {
        "first": pair.first + first,
        "second": pair.second + second,
        "posterior": pair.posterior + of_posterior,
        "attack": pair.attack,
        "eps": threats[pair.threat],
    }[head]


def _figures(one: Difference) -> list[str]:
    """The texts of the columns with figures."""
    low, high = points(one.low, one.images), points(one.high, one.images)
    size = points(one.difference, one.images)
    return [
        size if size.startswith("-") or not size.strip("0.") else f"+{size}",
        f"[{low}, {high}]",
        _p_text(one.p),
        _p_text(one.p_adjusted),
        ("no evidence" if one.pair.refuted else "yes" if one.holds else "no") + "+" * one.pair.partial,
    ]


def _p_text(p: float) -> str:
    """A p-value with three decimals."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _notes(found: Differences) -> list[str]:
    """The notes below the last table: what is compared, how it is tested, and what was left out."""
    pair = found[0].pair
    notes = {
        "posteriors": ["worst case over the attacks that both have"],
        "attacks": ["attacks on the same fit; a negative difference: the first attack is the stronger one"],
        "results": [f"first: {pair.first}", f"second: {pair.second}", *_worst_of_both(pair.attack)],
    }[pair.compared]
    if any(len(one.pair.seeds) > 1 for one in found):
        notes.append("several seeds: interval and p of a two-way bootstrap over images and seeds (docs/numbers.md)")
    if any(len(one.pair.seeds) == 1 for one in found):
        notes.append("one seed: Tango's interval, and p of McNemar's exact test, on the same images")
    notes.append(f"holds: p is at most 5% after Holm's correction for {counted(len(found), 'comparison')}")
    if found.left_out:
        notes.append(f"{counted(found.left_out, 'comparison')} without a common outcome left out")
    return notes


def _worst_of_both(attack: str) -> list[str]:
    return ["worst case over the attacks that both have"] if attack == "worst" else []
