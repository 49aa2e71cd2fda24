"""Every mistake in the files and parameters of a table has one clear line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import bnnbench as bb

CSV: dict[str, tuple[str | bytes, str]] = {
    "empty file": ("", "t.csv is empty$"),
    "no rows": ("x,label\n", "t.csv has no rows"),
    "no label": ("x,kind\n1,a\n", "t.csv has no column 'label'; its columns are x, kind"),
    "no names": ("5.1,0\n4.9,1\n", "t.csv has no names of columns: its first line holds numbers"),
    "semicolons": ("x;label\n1;a\n", "t.csv has one column, 'x;label': values must be separated by commas"),
    "index of pandas": (",x,label\n0,1,a\n", "column 1 has no name; name the columns of the inputs with inputs"),
    "two names alike": ("x,x,label\n1,2,a\n", "t.csv has two columns 'x'"),
    "other signs": ("x|label\n1|a\n", "t.csv has one column, 'x|label': values must be separated by commas"),
    "misspelt": ("x,Lable\n1,a\n", r"t.csv has no column 'label'; did you mean 'Lable'\?$"),
    "missing": ("x,y,label\n1,2,a\n3,,b\n", r"t.csv, row 2 \(line 3\), column 'y': the value is missing"),
    "missing by name": ("x,y,label\nNA,2,a\n", r"row 1 \(line 2\), column 'x': the value is missing"),
    "nan": ("x,y,label\n1,2,a\n3,nan,b\n4,5,b\n", r"t.csv: a missing value in row 2, column 'y'"),
    "infinite": ("x,label\n1,a\n-inf,b\n", "t.csv: an infinite value in row 2, column 'x'"),
    "text": ("x,label\n1,a\nred,b\n", r"row 2 \(line 3\), column 'x': 'red' is not a number"),
    "blank line": ('x,label\n"1",a\n\n\nred,b\n', r"row 2 \(line 5\), column 'x': 'red'"),
    "short row": ("x,y,label\n1,2,a\n3,b\n", r"row 2 \(line 3\): 2 values for 3 columns"),
    "long row": ("x,label\n1,a,\n", r"row 1 \(line 2\): 3 values for 2 columns"),
    "open quote": ('x,label\n1,"a\n2,b\n', "t.csv, line 3: unexpected end of data"),
    "decimal comma": ('x,label\n"0,5",a\n', "column 'x': '0,5' is not a number; decimals need a point"),
    "too far apart": ("x,label\n" + "1e308,a\n-1e308,b\n" * 8, "too far apart to be scaled"),
    "nan for a label": ("x,label\n1,0\n2,NaN\n3,1\n", "the label of row 2 is missing: 'NaN'; if that is a class, it"),
    "missing label": ("x,label\n1,a\n2, \n", "t.csv: the label of row 2 is missing"),
    "target": ("x,label\n1,0.5\n2,1\n", "t.csv: label 0.5 in row 1 is no class"),
    "one class": ("x,label\n1,a\n2,a\n", "t.csv: all labels are 'a'; at least two classes"),
    "latin-1": ("x,label\n1,é\n".encode("latin-1"), "t.csv is not text in UTF-8"),
}


@pytest.mark.parametrize("how", CSV)
def test_mistakes_in_a_csv_file(tmp_path: Path, how: str) -> None:
    content, message = CSV[how]
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(bb.DataError, match=message) as told:
        bb.dataset("table", path=str(path), test_fraction=0.5, scaling="columns").load(0)
    assert "\n" not in str(told.value)


def test_a_byte_order_mark_and_spaces_are_no_mistakes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes('\ufeffx, "y, too",label\r\n 1 , 2 ,"a"\r\n3,4,b\r\n'.encode())
    data = bb.dataset("table", path=str(tmp_path / "t.csv"), test_fraction=0.5).load(0)
    assert data.shape == (2,)
    (tmp_path / "t.csv").write_text("\n\nx,label\n\n1,a\n2,b\n")
    assert bb.dataset("table", path=str(tmp_path / "t.csv"), test_fraction=0.5).load(0).shape == (1,)


X, Y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
NPZ: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no label": ({"x": X, "y": Y}, {}, "a.npz has no array 'label'; its arrays are x, y"),
    "label alone": ({"label": Y}, {}, "inputs must name one array of $"),
    "several": ({"x": X, "z": X, "label": Y}, {}, "inputs must name one array of x, z"),
    "absent": ({"x": X, "label": Y}, {"inputs": ["z"]}, "inputs cannot be 'z'; the arrays are x, label"),
    "the label": ({"x": X, "label": Y}, {"inputs": ["label"]}, "inputs cannot be 'label'"),
    "two inputs": ({"x": X, "label": Y}, {"inputs": ["x", "label"]}, "inputs must name one array of x"),
    "lengths": ({"x": X[:5], "label": Y}, {}, r"labels of shape \(6,\) for 5 rows of inputs"),
    "one-hot": ({"x": X, "label": np.eye(6)}, {}, r"labels of shape \(6, 6\) for 6 rows"),
    "flat": ({"x": X[:, 0], "label": Y}, {}, r"inputs of shape \(6,\), \(rows, \*shape of a point\) was expected"),
    "no rows": ({"x": X[:0], "label": Y[:0]}, {}, r"inputs of shape \(0, 2\)"),
    "texts": ({"x": X.astype(str), "label": Y}, {}, "the inputs are of type <U32, not numbers"),
    "complex": ({"x": X * 1j, "label": Y}, {}, "the inputs are of type complex128"),
    "dates": ({"x": X, "label": Y.astype("M8[D]")}, {}, "the labels are of type datetime64"),
    "objects": ({"x": X, "label": np.array([None] * 6)}, {}, "label.npy holds Python objects, which are not read"),
    "nan": ({"x": np.where(X == 7, np.nan, X), "label": Y}, {}, "a missing value in row 4, column 2 "),
    "in an image": (
        {"x": np.where(np.arange(24) == 9, np.inf, 1.0).reshape(6, 1, 2, 2), "label": Y}, {},
        "an infinite value in row 3, column 1, 1, 2 ",
    ),
    "label nan": ({"x": X, "label": np.where(Y == 1, np.nan, 0)}, {}, "the label of row 2 is missing"),
    "targets": ({"x": X, "label": Y + 0.5}, {}, "label 0.5 in row 1 is no class"),
    "few": ({"x": X, "label": Y}, {"test_fraction": 0.01}, "test_fraction 0.01 of 6 rows leaves no split"),
    "sample": ({"x": X, "label": Y}, {"train_size": 50}, "train_size is 50, but there are 3 points"),
}  # fmt: skip


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("how", NPZ)
def test_mistakes_in_a_npz_file(tmp_path: Path, how: str, compressed: bool) -> None:
    arrays, parameters, message = NPZ[how]
    (np.savez_compressed if compressed else np.savez)(tmp_path / "a.npz", **arrays)
    with pytest.raises(bb.DataError, match=message) as told:
        bb.dataset("table", **({"path": str(tmp_path / "a.npz"), "test_fraction": 0.5} | parameters)).load(0)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("ending", [".npz", ".npy", ".csv", ".parquet"])
def test_a_file_of_another_format_or_cut_off_is_told(tmp_path: Path, ending: str) -> None:
    np.save(tmp_path / "labels.npy", Y)
    labels = {"label_path": str(tmp_path / "labels.npy")} if ending == ".npy" else {}
    whole = tmp_path / f"whole{ending}"
    (np.savez(whole, x=X, label=Y) if ending == ".npz" else np.save(whole, X)) if "np" in ending else None
    contents = [b"", b"\x00\x01\xff garbage", *([whole.read_bytes()[:-50]] if "np" in ending else [])]
    for content in contents:
        (tmp_path / f"t{ending}").write_bytes(content)
        with pytest.raises(bb.DataError, match=rf"t\{ending}") as told:
            bb.dataset("table", path=str(tmp_path / f"t{ending}"), test_fraction=0.5, **labels).load(0)
        assert "\n" not in str(told.value)


def parameters_of(folder: Path, **named: str) -> dict[str, str]:
    return {name: str(folder / file) if name.endswith("path") else file for name, file in named.items()}


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({}, "table needs a path"),
        ({"path": "a.csv"}, "a.csv: give test_fraction, or test_path"),
        ({"path": "absent.csv", "test_path": "b.csv"}, "absent.csv: no such file"),
        ({"path": "folder.csv", "test_path": "b.csv"}, "folder.csv: not a file"),
        ({"path": "a.csv", "test_path": "absent.csv"}, "absent.csv: no such file"),
        ({"path": "a.txt", "test_path": "b.csv"}, "a.txt: a table is a file .csv, .npz, .parquet or .npy"),
        ({"path": "a.csv", "test_path": "a.csv"}, "a.csv is the file of path too"),
        ({"path": "a.csv", "test_path": "x.npz"}, "a.csv and .*x.npz must be files of one format"),
        ({"path": "a.csv", "test_path": "b.csv", "label_path": "y.npy"}, "label_path is for a .npy file"),
        ({"path": "x.npy", "test_path": "z.npy"}, "x.npy holds inputs alone: label_path must name the .npy file"),
        ({"path": "x.npy", "label_path": "y.npy", "test_path": "z.npy"}, "test_label_path must name the .npy file"),
        ({"path": "x.npy", "label_path": "absent.npy", "test_path": "z.npy"}, "absent.npy: no such file"),
    ],
)
def test_mistakes_in_the_names_of_files_are_told_before_anything_is_read(
    tmp_path: Path, named: dict[str, str], message: str
) -> None:
    for name in ("a.csv", "b.csv", "a.txt", "x.npy", "y.npy", "z.npy", "x.npz"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(bb.DataError, match=message) as told:
        bb.dataset("table", **parameters_of(tmp_path, **named)).identity()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"test_fraction": 0.5, "test_path": "b.csv"}, "give test_path or test_fraction, not both"),
        ({"test_label_path": "b.npy"}, "test_label_path is given without test_path"),
        ({"test_fraction": 0}, "test_fraction"),
        ({"scaling": "rows"}, "scaling"),
        ({"inputs": "x"}, "inputs"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused_at_once(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bb.dataset("table", path="a.csv", **parameters)


def test_test_points_of_another_shape_or_class_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, label=Y)
    np.savez(tmp_path / "b.npz", x=X[:, :1], label=Y)
    np.savez(tmp_path / "c.npz", x=X, label=Y + 1)
    with pytest.raises(bb.DataError, match=r"b.npz has points of shape \(1,\), .*a.npz \(2,\)"):
        bb.dataset("table", **parameters_of(tmp_path, path="a.npz", test_path="b.npz")).load(0)
    with pytest.raises(bb.DataError, match=r"c.npz: label '2' of row 2 is no class of .*a.npz"):
        bb.dataset("table", **parameters_of(tmp_path, path="a.npz", test_path="c.npz")).load(0)


FRAME = pandas.DataFrame({"x": [1.0, 2.0, 5.0], "flag": [True, False, True], "label": ["b", "a", "b"]})


def parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: pandas.DataFrame) -> bb.Dataset:
    (tmp_path / "t.parquet").write_text("content")
    monkeypatch.setattr(pandas, "read_parquet", lambda path: frame.copy())
    return bb.dataset("table", path=str(tmp_path / "t.parquet"), test_fraction=0.4)


def test_a_parquet_file_is_read_by_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for labels in (["b", "a", "b"], pandas.Categorical(["b", "a", "b"]), [4, 3, 4], pandas.array([4, 3, 4], "Int64")):
        data = parquet(tmp_path, monkeypatch, FRAME.assign(label=labels)).load(0)
        assert data.shape == (2,)
        assert data.classes == 2
    data = parquet(tmp_path, monkeypatch, FRAME.assign(x=pandas.array([1, 2, 3], "Int64"))).load(0)
    assert data.train[0].max() == 1


def test_mistakes_in_a_parquet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for frame, message in (
        (FRAME.assign(x=["a", "b", "c"]), "t.parquet: column 'x' holds (str|object), not numbers"),
        (FRAME.assign(x=pandas.Timestamp(0)), "column 'x' holds datetime64"),
        (FRAME.assign(x=[1.0, None, 2.0]), "a missing value in row 2, column 'x'"),
        (FRAME.assign(x=pandas.array([1, None, 2], "Int64")), "a missing value in row 2, column 'x'"),
        (FRAME.assign(label=["a", None, "b"]), "the label of row 2 is missing"),
        (FRAME.drop(columns="label"), "t.parquet has no column 'label'; its columns are x, flag"),
    ):
        with pytest.raises(bb.DataError, match=message):
            bb.dataset("table", path=parquet(tmp_path, monkeypatch, frame).path, test_fraction=0.4,
                       scaling="columns").load(0)  # type: ignore[attr-defined]  # fmt: skip


def test_without_pyarrow_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.parquet").write_text("content")
    for name in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        bb.DataError, match=r"t.parquet: reading a .parquet file needs pyarrow \(pip install pyarrow\)$"
    ):
        bb.dataset("table", path=str(tmp_path / "t.parquet"), test_fraction=0.5).load(0)
