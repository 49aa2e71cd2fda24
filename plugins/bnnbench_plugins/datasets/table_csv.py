"""Read a .csv file of numbers with a column of classes."""

from __future__ import annotations

import csv
import operator
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bnnbench import DataError
from bnnbench_plugins.datasets.table_content import MISSING, Content, chosen_columns


def read_csv(path: Path, label: str, inputs: tuple[str, ...]) -> Content:
    """The inputs and labels of a .csv file whose first line has the names of the columns.

    Raises `DataError`, with row, line and column, if a value is missing or not a number, or a row has more or fewer
    values than there are names.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, skipinitialspace=True, strict=True)
        try:
            return _content(path, reader, label, inputs)
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not text in UTF-8: {error}") from error


def _content(path: Path, reader: Iterator[list[str]], label: str, inputs: tuple[str, ...]) -> Content:
    names = [name.strip() for name in next(filter(None, reader), [])]
    if not names:
        raise DataError(f"{path} is empty")
    if len(names) == 1:
        raise DataError(f"{path} has one column, {names[0]!r}: values must be separated by commas")
    if label not in names and all(map(_is_number, names)):
        raise DataError(f"{path} has no names of columns: its first line holds numbers")
    if "" in names and not inputs:
        raise DataError(f"{path}: column {names.index('') + 1} has no name; name the columns of the inputs with inputs")
    columns = chosen_columns(str(path), names, label, inputs)
    at, positions = names.index(label), [names.index(name) for name in columns]
    pick = _picker(positions)
    values, labels = array("d"), list[str]()
    for row in reader:
        if not row:
            continue
        where = f"{path}, row {len(labels) + 1} (line {reader.line_num})"  # type: ignore[attr-defined]
        if len(row) != len(names):
            raise DataError(f"{where}: {len(row)} values for {len(names)} columns")
        try:
            values.extend(map(float, pick(row)))
        except ValueError:
            raise DataError(f"{where}, {_mistake(row, positions, names)}") from None
        labels.append(row[at])
    if not labels:
        raise DataError(f"{path} has no rows")
    return Content(str(path), np.frombuffer(values).reshape(-1, len(columns)), np.array(labels), columns)


def _picker(positions: Sequence[int]) -> Callable[[list[str]], Sequence[str]]:
    """A function that gives the values of a row at the positions."""
    if len(positions) == 1:
        return lambda row: (row[positions[0]],)
    return operator.itemgetter(*positions)


def _mistake(row: list[str], positions: Sequence[int], names: Sequence[str]) -> str:
    """The first value of a row that is not a number, with its column."""
    for position in positions:
        text = row[position].strip()
        if not _is_number(text):
            told = "the value is missing" if text.lower() in MISSING else f"{text!r} is not a number"
            commas = "," in text and _is_number(text.replace(",", ""))
            remedy = "; decimals need a point, and thousands no sign" if commas else ""
            return f"column '{names[position]}': {told}{remedy}"
    raise AssertionError("all values are numbers")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
