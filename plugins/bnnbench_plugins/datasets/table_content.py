"""The content of a table: inputs, perhaps on disk, and labels."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bnnbench import DataError
from bnnbench_plugins.datasets.names import meant

MISSING = ("", "?", "n/a", "na", "nan", "none", "null")
"""Texts of missing values, in small letters."""
EXACT = 2**53
"""The size from which on floating-point numbers are not all whole numbers."""


@dataclass(frozen=True, eq=False)
class Content:
    """What a file of a table holds.

    Args:
        where: the path, for messages.
        inputs: numbers (N, *shape). They may be mapped from a file: then a row is read when it is used.
        labels: whole numbers or texts (N,).
        columns: the names of the columns of inputs, empty for arrays.
        mapped: the map of the file that the inputs lie in.
    """

    where: str
    inputs: np.ndarray
    labels: np.ndarray
    columns: tuple[str, ...] = ()
    mapped: mmap.mmap | None = None

    def __post_init__(self) -> None:
        if self.inputs.dtype.kind not in "biuf":
            raise DataError(f"{self.where}: the inputs are of type {self.inputs.dtype}, not numbers")
        if self.inputs.ndim < 2 or 0 in self.inputs.shape:
            raise DataError(
                f"{self.where}: inputs of shape {self.inputs.shape}, (rows, *shape of a point) was expected"
            )
        if self.labels.shape != self.inputs.shape[:1]:
            raise DataError(
                f"{self.where}: labels of shape {self.labels.shape} for {len(self.inputs)} rows of inputs; "
                "one for each row was expected"
            )

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """A copy of some rows of the inputs, float64. Raises `DataError` if a value is missing or infinite."""
        values = self.inputs[rows].astype(np.float64)
        if self.mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED)  # What was read would count as memory of the process.
        self._check_finite(values, rows)
        return values

    def check_like(self, other: Content) -> None:
        """Raise `DataError` if the points have another shape than those of another file."""
        if self.inputs.shape[1:] != other.inputs.shape[1:]:
            raise DataError(
                f"{self.where} has points of shape {self.inputs.shape[1:]}, {other.where} {other.inputs.shape[1:]}"
            )

    def _check_finite(self, values: np.ndarray, rows: np.ndarray) -> None:
        """Raise `DataError` if a value of rows of inputs is missing or infinite. It names the row and the column."""
        if values.dtype.kind != "f" or np.isfinite(values).all():
            return
        row, *position = np.argwhere(~np.isfinite(values))[0]
        found = values[(row, *position)]
        column = f"'{self.columns[position[0]]}'" if self.columns else ", ".join(str(index + 1) for index in position)
        kind = "a missing value" if np.isnan(found) else "an infinite value"
        raise DataError(f"{self.where}: {kind} in row {rows[row] + 1}, column {column} (counted from 1)")


def classes(contents: Sequence[Content]) -> tuple[list[np.ndarray], int]:
    """The labels of each content as numbers of classes (int64), and the number of classes.

    The classes are the sorted labels of the first content. Whole numbers, also as texts, are sorted as numbers if they
    fit into 64 bits. Raises `DataError` for other numbers, missing labels, a single class, and labels that the first
    content has not.
    """
    values = [_whole(content, _filled(content)) for content in contents]
    if len({array.dtype.kind for array in values}) > 1:
        values = [array.astype(str) for array in values]
    names = np.unique(values[0])
    if len(names) < 2:
        raise DataError(f"{contents[0].where}: all labels are {str(names[0])!r}; at least two classes are needed")
    for content, array in zip(contents, values, strict=True):
        unknown = ~np.isin(array, names)
        if unknown.any():
            row = int(unknown.argmax())
            raise DataError(
                f"{content.where}: label {str(array[row])!r} of row {row + 1} is no class of {contents[0].where}"
            )
    return [np.searchsorted(names, array) for array in values], len(names)


def chosen_columns(where: str, names: Sequence[str], label: str, inputs: Sequence[str]) -> tuple[str, ...]:
    """The columns of inputs: those that are named, or all but the label.

    Raises `DataError` if a column is absent, has the name of another one, or is the label.
    """
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        raise DataError(f"{where} has two columns '{doubled[0]}'")
    for name in (label, *inputs):
        if name not in names:
            raise DataError(f"{where} has no column '{name}'{meant(name, names, 'columns')}")
    if label in inputs:
        raise DataError(f"{where}: '{label}' is the label and cannot be one of the inputs")
    columns = tuple(inputs) or tuple(name for name in names if name != label)
    if not columns:
        raise DataError(f"{where} has no column beside the label '{label}'")
    return columns


def _filled(content: Content) -> np.ndarray:
    """The labels of a content, none of them missing, of type int64, float64 or str."""
    labels = content.labels
    if labels.dtype.kind in "biu":
        return labels.astype(np.int64)
    if labels.dtype.kind == "f":
        missing = ~np.isfinite(labels)
    elif labels.dtype.kind in "US":
        texts = np.char.decode(labels, "utf-8", "backslashreplace") if labels.dtype.kind == "S" else labels
        labels = np.char.strip(texts)
        missing = np.isin(np.char.lower(labels), MISSING)
    else:
        raise DataError(f"{content.where}: the labels are of type {labels.dtype}, not texts or whole numbers")
    if missing.any():
        row = int(missing.argmax())
        text = str(labels[row]) if labels.dtype.kind == "U" else ""
        given = f": {text!r}; if that is a class, it needs another name" if text else ""
        raise DataError(f"{content.where}: the label of row {row + 1} is missing{given}")
    return labels


def _whole(content: Content, labels: np.ndarray) -> np.ndarray:
    """The labels as int64 if they are whole numbers that this type holds, otherwise as they are.

    Raises `DataError` for other numbers.
    """
    if labels.dtype.kind == "i":
        return labels
    if labels.dtype.kind == "U":
        if (np.char.find(labels, "_") >= 0).any():
            return labels  # Python reads 1_1 as 11.
        try:
            return np.array([int(text) for text in labels], np.int64)
        except OverflowError:
            return labels
        except ValueError:  # texts, or numbers such as 1.0
            pass
    try:
        numbers = labels.astype(np.float64)
    except ValueError:
        return labels
    if not (np.abs(numbers) < EXACT).all():
        return labels  # Different labels must not become one class.
    broken = numbers != np.round(numbers)
    if broken.any():
        row = int(broken.argmax())
        raise DataError(
            f"{content.where}: label {labels[row]} in row {row + 1} is no class: not a whole number or text"
        )
    return numbers.astype(np.int64)
