"""Tables and arrays of the user's own, from files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from bnnbench import Data, DataError, Dataset, InputPath
from bnnbench.authoring import split, test_sample, training_sample


class Table(Dataset):
    """Inputs and labels from a file: a table (.csv, .parquet) or arrays (.npz, .npy).

    - `.csv` and `.parquet`: each row is a point, and the column `label` holds its class. All other columns, or those
      that `inputs` names, are its inputs, and must be numbers. A .csv file starts with the names of its columns.
      A .parquet file needs pyarrow, which is not installed with bnnbench.
    - `.npz`: the array `label` holds the classes (N,), and the only other array, or the one that `inputs` names, the
      inputs (N, *shape). For images the shape is (channels, height, width).
    - `.npy`: the inputs (N, *shape); the classes (N,) are in the .npy file `label_path`.

    Classes are the sorted values of the labels, texts or whole numbers. Inputs are scaled to [0, 1] by the minimum and
    maximum of the training part, from which `train_size` chooses, so that the test points are the same for every seed;
    test inputs beyond them are clipped. A constant column becomes 0. A .npy file and an uncompressed .npz file may be
    larger than the memory: only the rows of the samples are kept. `DataError` names the row and column of a missing
    value. Rows and columns are counted from 1, without the line of names.
    """

    revision: ClassVar[int | None] = 1
    known_bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    not_in_identity: ClassVar[frozenset[str]] = frozenset({"path", "label_path", "test_path", "test_label_path"})

    path: InputPath = ""
    """Path of the file: .csv, .npz, .npy or .parquet."""
    label: str = "label"
    """Column or array that holds the classes."""
    inputs: tuple[str, ...] = ()
    """Columns, or the one array, that hold the inputs. By default all but the label."""
    test_fraction: float | None = Field(default=None, gt=0, lt=1)
    """Fraction of the rows that are test points, by one fixed shuffle."""
    test_path: InputPath = ""
    """Path of the file of the test points, in the place of `test_fraction`. It has the same columns or arrays."""
    label_path: InputPath = ""
    """Path of the .npy file with the classes, if `path` is a .npy file."""
    test_label_path: InputPath = ""
    """Path of the .npy file with the classes of the test points, if `test_path` is a .npy file."""
    scaling: Literal["columns", "whole", "none"] | None = None
    """Scaling to [0, 1]: of each column by itself, of the whole array alike (for images), or none, for inputs that are
    in [0, 1] already. By default by columns if a point is a row of numbers, and of the whole if it has more axes."""
    train_size: int | None = Field(default=None, ge=2)
    """Training points, chosen by the seed. By default all."""
    test_size: int | None = Field(default=None, ge=2)
    """Test points, the same for every seed. By default all."""

    @model_validator(mode="after")
    def _one_way_to_the_test_points(self) -> Self:
        if self.test_path and self.test_fraction is not None:
            raise ValueError("give test_path or test_fraction, not both")
        if self.test_label_path and not self.test_path:
            raise ValueError("test_label_path is given without test_path")
        return self

    def fingerprint(self) -> str:
        """The sha256 of each file. Raises `DataError` if a file is absent, or cannot be one of a table."""
        from bnnbench_plugins.datasets.checksums import checksum_of_file

        return " ".join(checksum_of_file(file) for pair in self._files() for file in pair if file is not None)

    def load(self, seed: int) -> Data:
        import numpy as np

        from bnnbench_plugins.datasets.table_content import classes
        from bnnbench_plugins.datasets.table_files import read
        from bnnbench_plugins.datasets.table_scaling import Scaling

        files, *others = self._files()
        first = last = read(*files, label=self.label, inputs=self.inputs)
        for pair in others:
            # Columns are found by their names, so that another order of them is the same table.
            last = read(*pair, label=self.label, inputs=first.columns or self.inputs)
            last.check_like(first)
        labels, count = classes([first, last] if others else [first])
        rows = np.arange(len(labels[0]))
        train, test = (rows, labels[0]), (np.arange(len(labels[-1])), labels[-1])
        if self.test_fraction is not None:
            if not 0 < round(self.test_fraction * len(rows)) < len(rows):
                raise DataError(f"{self.path}: test_fraction {self.test_fraction} of {len(rows)} rows leaves no split")
            train, test = split(*train, self.test_fraction)
        scaling = Scaling.of(first, train[0], self.scaling or ("columns" if first.inputs.ndim == 2 else "whole"))
        train, test = training_sample(*train, self.train_size, seed), test_sample(*test, self.test_size)
        return Data(
            train=(scaling.points(first, train[0]), train[1]),
            test=(scaling.points(last, test[0]), test[1]),
            classes=count,
        )

    def _files(self) -> list[tuple[Path, Path | None]]:
        """The file of inputs and, for .npy, that of labels; then those of the test points if they have their own."""
        from bnnbench_plugins.datasets.table_files import checked

        if not self.path:
            raise DataError("table needs a path: a .csv, .npz, .npy or .parquet file")
        if not self.test_path and self.test_fraction is None:
            raise DataError(f"{self.path}: give test_fraction, or test_path, the file of the test points")
        files = [checked(self.path, self.label_path, "label_path")]
        if self.test_path:
            files.append(checked(self.test_path, self.test_label_path, "test_label_path"))
            (first, _), (last, _) = files
            if first.suffix.lower() != last.suffix.lower():
                raise DataError(f"{self.path} and {self.test_path} must be files of one format")
            if first.samefile(last):
                raise DataError(f"{self.test_path} is the file of path too; test points need another")
        return files
