"""How many images the strongest attacks of several libraries leave, and at which cost, from the outcomes of a suite.

bnnbench run suites/strong-attacks.yaml
python speed/strong_attacks.py [store]       (a second; the run before it takes an hour)

Every attack met the same predictive, images and radius, in workers of one thread. Images left are those that are
classified rightly as they are and attacked. Queries are those of the whole ensemble, a mean over the images. A worker
computes all radii of an attack together, so CPU seconds are those of all radii of a fit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import measuring

import bnnbench as bb

SUITE = Path(__file__).parent.parent / "suites" / "strong-attacks.yaml"
Row = dict[str, Any]


def left_of(rows: Iterable[Row], attacks: list[str]) -> list[list[str]]:
    """A line for each fit and radius: the images that are right, and what each attack leaves, with its queries."""
    lines = []
    for (fit, epsilon), several in groupby(rows, key=lambda row: (fit_of(row), row["epsilon"])):
        cells = {row["attack"]: row for row in several}
        right = next(count(row, "clean_accuracy") for row in cells.values())
        lines.append([fit, f"{epsilon:g}", str(right), *(left(cells.get(name)) for name in attacks)])
    return lines


def seconds_of(rows: Iterable[Row], attacks: list[str]) -> list[list[str]]:
    """A line for each fit: the CPU seconds of each attack at all radii together."""
    lines = []
    for fit, several in groupby(rows, key=fit_of):
        spent = dict.fromkeys(attacks, 0.0)
        for row in several:
            spent[row["attack"]] += row["cpu_seconds"]
        lines.append([fit, *(f"{seconds:.1f}" for seconds in spent.values())])
    return lines


def fit_of(row: Row) -> str:
    """The data set, network and posterior of a row."""
    return f"{row['dataset'].partition('@')[0]}, {row['network']}, {row['posterior']}"


def left(row: Row | None) -> str:
    """The images that an attack leaves, and its mean number of queries."""
    if row is None:
        return "-"
    return f"{count(row, 'robust_accuracy')} ({row['mean_passes']:,.0f})"


def count(row: Row, share: str) -> int:
    return round(row[share] * row["images"])


def report(store: str) -> str:
    """Both tables in markdown. Raises `SystemExit` if the store lacks cells."""
    results = bb.results(SUITE, store)
    rows = results.rows()
    missing = [row for row in rows if row["status"] != "ok"]
    if missing:
        first = missing[0]
        raise SystemExit(f"{len(missing)} cells are not ok: {first['attack']} on {fit_of(first)} is {first['status']}")
    spent = {row["cell"]: row["cpu_seconds"] for row in results.rows("times")}
    for row in rows:
        row["cpu_seconds"] = spent[row["cell"]]
    attacks = list(dict.fromkeys(row["attack"] for row in rows))
    rows.sort(key=lambda row: row["epsilon"])
    rows.sort(key=fit_of)
    return "\n".join(
        [
            measuring.table("Images left (queries)", ["fit", "eps", "right", *attacks], left_of(rows, attacks)),
            measuring.table("CPU seconds, both radii", ["fit", *attacks], seconds_of(rows, attacks)),
        ]
    )


if __name__ == "__main__":
    print(f"{measuring.machine()}\n")
    print(report(sys.argv[1] if len(sys.argv) > 1 else "store"))
