"""Read the files of a table, by their endings."""

from __future__ import annotations

import mmap
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from bnnbench import DataError
from bnnbench_plugins.datasets.names import listed, meant
from bnnbench_plugins.datasets.table_content import Content, chosen_columns
from bnnbench_plugins.datasets.table_csv import read_csv

LOCAL_HEADER = struct.Struct("<26xHH")
"""The header of a file inside of a zip archive: its last two fields are the lengths of what follows it."""


def checked(path: str, label_path: str, parameter: str) -> tuple[Path, Path | None]:
    """The paths of a file and of the file of its labels, which is None except for .npy.

    `parameter` is the name of the parameter with the path of the labels. Raises `DataError` if a file is absent, or
    the endings are not those of a table.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS and ending != ".npy":
        raise DataError(f"{path}: a table is a file {', '.join(FORMATS)} or .npy")
    for file in filter(None, (path, label_path)):
        if not Path(file).is_file():
            raise DataError(f"{file}: {'not a file' if Path(file).exists() else 'no such file'}")
    if ending != ".npy":
        if label_path:
            raise DataError(f"{path}: {parameter} is for a .npy file; the labels of a {ending} file lie inside of it")
        return Path(path), None
    if Path(label_path).suffix.lower() != ".npy":
        raise DataError(f"{path} holds inputs alone: {parameter} must name the .npy file of their labels")
    return Path(path), Path(label_path)


def read(path: Path, label_path: Path | None, label: str, inputs: tuple[str, ...]) -> Content:
    """The inputs and labels of a file.

    Args:
        path: the file.
        label_path: the file of the labels, for .npy.
        label: the column or array of the labels.
        inputs: the columns of the inputs, or their array; if empty, all others.

    Raises `DataError` if the file cannot be read, or does not hold what is asked for.
    """
    try:
        if label_path is not None:
            values, file = _mapped(path, 0)
            return Content(str(path), values, np.array(_mapped(label_path, 0)[0]), mapped=file)
        return FORMATS[path.suffix.lower()](path, label, inputs)
    except DataError:
        raise
    except Exception as error:  # damaged files make numpy, zipfile and pandas raise errors of any class
        told = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read as a {path.suffix.lower()} file: {told}") from error


def read_npz(path: Path, label: str, inputs: tuple[str, ...]) -> Content:
    """The inputs and labels of a .npz file. Arrays that are not compressed are mapped into memory."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        names = [*members]
        if label not in members:
            raise DataError(f"{path} has no array '{label}'{meant(label, names, 'arrays')}")
        chosen = list(inputs) or [name for name in names if name != label]
        if len(chosen) != 1:
            raise DataError(f"{path}: inputs must name one array of {listed([n for n in names if n != label])}")
        if chosen[0] not in members or chosen[0] == label:
            raise DataError(f"{path}: inputs cannot be '{chosen[0]}'; the arrays are {listed(names)}")
        (values, file), (labels, _) = (_member(path, archive, members[name]) for name in (chosen[0], label))
    return Content(str(path), values, np.array(labels), mapped=file)


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[np.ndarray, mmap.mmap | None]:
    """An array of a .npz file, and the map of the file that it lies in; None if it is compressed, and so is read."""
    if member.compress_type != zipfile.ZIP_STORED:
        with archive.open(member) as stream:
            _header(stream, member.filename)
        with archive.open(member) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False), None
    with path.open("rb") as file:
        file.seek(member.header_offset)
        lengths = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    return _mapped(path, member.header_offset + LOCAL_HEADER.size + sum(lengths), member.filename)


def _mapped(path: Path, start: int, name: str = "") -> tuple[np.ndarray, mmap.mmap]:
    """The array in numpy's format that begins at a byte of a file, and the map of the file that it lies in."""
    with path.open("rb") as file:
        file.seek(start)
        shape, by_columns, dtype = _header(file, name)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.ndarray(shape, dtype, mapped, file.tell(), order="F" if by_columns else "C"), mapped


def _header(file: IO[bytes], name: str = "") -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of an array in numpy's format. Raises `ValueError` if it holds Python objects."""
    if np.lib.format.read_magic(file) == (1, 0):
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, by_columns, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject:
        raise ValueError(
            f"{name or 'the array'} holds Python objects, which are not read: save array.astype(str) for texts, "
            "array.astype(float) for numbers"
        )
    return shape, by_columns, dtype


def read_parquet(path: Path, label: str, inputs: tuple[str, ...]) -> Content:
    """The inputs and labels of a .parquet file. Raises `DataError` if nothing that can read it is installed."""
    import pandas

    try:
        frame = pandas.read_parquet(path)
    except ImportError as error:
        raise DataError(f"{path}: reading a .parquet file needs pyarrow (pip install pyarrow)") from error
    frame.columns = [str(name) for name in frame.columns]
    columns = chosen_columns(str(path), list(frame.columns), label, inputs)
    for name in columns:
        if not pandas.api.types.is_numeric_dtype(frame[name]):
            raise DataError(f"{path}: column '{name}' holds {frame[name].dtype}, not numbers")
    labels = frame[label]
    if labels.isna().any():
        raise DataError(f"{path}: the label of row {int(labels.isna().to_numpy().argmax()) + 1} is missing")
    kept = labels.to_numpy() if pandas.api.types.is_numeric_dtype(labels) else labels.astype(str).to_numpy(str)
    values = frame[list(columns)].to_numpy(np.float64, na_value=np.nan)
    return Content(str(path), values, kept, columns)


FORMATS: dict[str, Callable[[Path, str, tuple[str, ...]], Content]] = {
    ".csv": read_csv,
    ".npz": read_npz,
    ".parquet": read_parquet,
}
"""The readers of files that hold inputs and labels, by the ending of the file's name."""
