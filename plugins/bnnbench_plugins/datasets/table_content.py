"""The content of a table: inputs, perhaps on disk, and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bnnbench import DataError

SHOWN = 10
"""The most names that a message lists."""


@dataclass(frozen=True, eq=False)
class Content:
    """What a file of a table holds.

    Args:
        where: the path, for messages.
        inputs: numbers (N, *shape). They may be mapped from a file: then a row is read when it is used.
        labels: whole numbers or texts (N,).
        columns: the names of the columns of inputs, empty for arrays.
    """

    where: str
    inputs: np.ndarray
    labels: np.ndarray
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.inputs.dtype.kind not in "biuf":
            raise DataError(f"{self.where}: the inputs are of type {self.inputs.dtype}, not numbers")
        if self.inputs.ndim < 2 or 0 in self.inputs.shape:
            raise DataError(
                f"{self.where}: inputs of shape {self.inputs.shape}, (rows, *shape of a point) was expected"
            )
        if self.labels.shape != self.inputs.shape[:1]:
            raise DataError(f"{self.where}: labels of shape {self.labels.shape} for {len(self.inputs)} rows of inputs")

    def check_like(self, other: Content) -> None:
        """Raise `DataError` if the points have another shape than those of another file."""
        if self.inputs.shape[1:] != other.inputs.shape[1:]:
            raise DataError(
                f"{self.where} has points of shape {self.inputs.shape[1:]}, {other.where} {other.inputs.shape[1:]}"
            )

    def check_finite(self, values: np.ndarray, rows: np.ndarray) -> None:
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

    The classes are the sorted labels of the first content. Whole numbers, also as texts, are sorted as numbers. Raises
    `DataError` for other numbers, missing labels, a single class, and labels that the first content has not.
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
    unknown = [name for name in (label, *inputs) if name not in names]
    if unknown:
        raise DataError(f"{where} has no column '{unknown[0]}'; its columns are {listed(names)}")
    if label in inputs:
        raise DataError(f"{where}: '{label}' is the label and cannot be one of the inputs")
    columns = tuple(inputs) or tuple(name for name in names if name != label)
    if not columns:
        raise DataError(f"{where} has no column beside the label '{label}'")
    return columns


def listed(names: Sequence[str]) -> str:
    """Names for a message, cut after `SHOWN`."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more


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
        missing = labels == ""
    else:
        raise DataError(f"{content.where}: the labels are of type {labels.dtype}, not texts or whole numbers")
    if missing.any():
        raise DataError(f"{content.where}: the label of row {int(missing.argmax()) + 1} is missing")
    return labels


def _whole(content: Content, labels: np.ndarray) -> np.ndarray:
    """The labels as int64 if they are whole numbers, otherwise texts. Raises `DataError` for other numbers."""
    if labels.dtype.kind == "i":
        return labels
    try:
        numbers = labels.astype(np.float64)
    except ValueError:
        return labels
    if not np.isfinite(numbers).all():
        return labels  # texts such as "inf", for numbers were looked at before
    broken = numbers != np.round(numbers)
    if broken.any():
        row = int(broken.argmax())
        raise DataError(
            f"{content.where}: label {labels[row]} in row {row + 1} is no class: not a whole number or text"
        )
    return numbers.astype(np.int64)
