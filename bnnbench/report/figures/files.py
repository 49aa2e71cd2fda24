"""The files of figures: an SVG for each picture, and a csv with the numbers that it shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnnbench.core import arguments
from bnnbench.errors import BnnbenchError, NotApplicable, message_of, one_line
from bnnbench.evidence.figures.figure import Figure
from bnnbench.evidence.figures.picture import Area, Picture, Series
from bnnbench.evidence.results import Results
from bnnbench.plugins.described import described
from bnnbench.plugins.signals import contained
from bnnbench.report.figures.chosen import Chosen, chosen_figures
from bnnbench.report.figures.svg import as_svg
from bnnbench.report.rows import rows_to_csv

LONGEST = 120
"""The largest number of letters of a file's name, without its ending."""


@dataclass(frozen=True)
class WrittenFigure:
    """A picture of a figure that was written, or why a figure has none.

    Attributes:
        figure: the name of the figure.
        path: the SVG file, beside which the file of the same name and the ending `.csv` holds the numbers; None
            without a picture.
        problem: why there is no picture; empty otherwise.
        failed: whether that is a fault of the figure; otherwise the results lack what it shows.
    """

    figure: str
    path: Path | None
    problem: str = ""
    failed: bool = False

    def __str__(self) -> str:
        if self.path is not None:
            return f"{self.path}, with its numbers in {self.path.with_suffix('.csv').name}"
        return one_line(f"figure {self.figure} {'failed' if self.failed else 'has nothing to draw'}: {self.problem}")


@arguments.told_names
def write_figures(
    results: Results, folder: str | Path, figures: str | Figure | Iterable[str | Figure] = ()
) -> list[WrittenFigure]:
    """Write the pictures of results into a folder, which is made if it is absent.

    `figures` are names, with parameters after `@` (`selective@score=mutual-information`), or components; by default
    all that are installed. Files of the same names are replaced. Of each picture an SVG file and a csv file with its
    numbers are written. The list tells which, and why a figure has none: a figure that fails does not affect others.

    Raises `UnknownComponent`, `PluginError` or `ParameterError` for a figure that cannot be made, and `BnnbenchError`
    if a file cannot be written.
    """
    place = arguments.path(folder, argument="folder", meant="the path of a folder")
    return write_chosen(results, place, chosen_figures(figures))


def write_chosen(results: Results, place: Path, chosen: Chosen) -> list[WrittenFigure]:
    """Write the pictures of figures that have been chosen, as `write_figures` does."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BnnbenchError(f"{place}: {(error.strerror or str(error)).lower()}") from error
    taken: set[str] = set()
    return [written for name, figure in chosen.items() for written in _write(name, figure, results, place, taken)]


def _write(
    name: str, figure: Figure | BnnbenchError, results: Results, folder: Path, taken: set[str]
) -> Iterator[WrittenFigure]:
    """Write the pictures of one figure; one that cannot be drawn does not affect the others."""
    try:
        if isinstance(figure, BnnbenchError):
            raise figure
        with contained():
            pictures = _checked(figure.pictures(results))
    except NotApplicable as reason:
        yield WrittenFigure(name, None, str(reason))
        return
    except Exception as error:  # noqa: BLE001 - an author's code may raise anything
        yield WrittenFigure(name, None, message_of(error), failed=True)
        return
    for picture in pictures:
        try:
            texts = {".svg": as_svg(picture), ".csv": rows_to_csv(numbers_of(picture))}
        except Exception as error:  # noqa: BLE001 - matplotlib may refuse what an author gave
            yield WrittenFigure(name, None, f"{picture.name}: {message_of(error)}", failed=True)
            continue
        stem = file_name(f"{name}-{picture.name}", taken)
        for ending, text in texts.items():
            _write_file(folder / (stem + ending), text)
        yield WrittenFigure(name, folder / f"{stem}.svg")


def _checked(pictures: Any) -> list[Picture]:
    """The pictures that a figure gave. Raises `TypeError` for anything else, and `NotApplicable` if there are none."""
    found = list(pictures)
    for one in found:
        if not isinstance(one, Picture):
            raise TypeError(f"a figure gives pictures, not {described(one)}")
    if not found:
        raise NotApplicable("it gave no pictures")
    return found


def numbers_of(picture: Picture) -> list[dict[str, Any]]:
    """The numbers that a picture shows: a row for each point of each series and area, in their order."""
    rows: list[dict[str, Any]] = []
    for panel in picture.panels:
        items: list[Series | Area] = [*panel.series, *panel.areas]
        rows += [{"panel": panel.title, "series": item.label, **point} for item in items for point in _points(item)]
    return rows


def _points(item: Series | Area) -> Iterator[dict[str, Any]]:
    """The points of a series or an area, and whether each has an open marker; absent numbers are empty texts."""
    columns = {name: getattr(item, name, ()) or [""] * len(item.x) for name in ("x", "y", "low", "high")}
    columns["open"] = getattr(item, "open", ()) or [False] * len(item.x)
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def file_name(text: str, taken: set[str]) -> str:
    """A file's name without its ending, made of a text; it is added to those that are taken.

    It has small letters, digits and `.-_` alone, as some systems do not tell small and capital letters apart.
    """
    stem = re.sub(r"[^a-z0-9._-]+", "_", text.lower()).strip("._-")[:LONGEST] or "figure"
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name)
    return name


def _write_file(path: Path, text: str) -> None:
    """Write a text. Raises `BnnbenchError` with the file's name, which a full disk does not tell."""
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise BnnbenchError(f"{path}: {(error.strerror or str(error)).lower()}") from error
