"""Tables and arrays from files: samples, scaling, classes and identities."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bnnbench_plugins.datasets import table_scaling

import bnnbench as bb
from bnnbench.authoring import split


def table(path: Path, **parameters: Any) -> bb.Dataset:
    return bb.dataset("table", path=str(path), **parameters)


def write_csv(path: Path, columns: dict[str, Any]) -> Path:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in (columns, *rows)) + "\n")
    return path


def numbers(count: int = 12, features: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (count, features) far from the unit box, float64, and labels of three classes."""
    generator = np.random.default_rng(seed)
    return generator.normal(50, 20, (count, features)), np.arange(count) % 3


def written(folder: Path, ending: str, x: np.ndarray, y: np.ndarray, name: str = "data") -> dict[str, str]:
    """Write inputs and labels in a format; gives the parameters that name the files."""
    path = folder / f"{name}{ending}"
    if ending == ".csv":
        write_csv(path, {**{f"x{i}": x[:, i] for i in range(x.shape[1])}, "label": y})
    elif ending == ".npy":
        np.save(path, x)
        np.save(folder / f"{name}-labels.npy", y)
        return {"path": str(path), "label_path": str(folder / f"{name}-labels.npy")}
    else:
        (np.savez_compressed if "compressed" in name else np.savez)(path, pixels=x, label=y)
    return {"path": str(path)}


def test_columns_of_the_training_part_fill_the_box_exactly(tmp_path: Path) -> None:
    x, y = numbers()
    x[:, 1] = 7
    data = table(write_csv(tmp_path / "t.csv", {"a": x[:, 0], "class": y, "b": x[:, 1], "c": x[:, 2]}), label="class",
                 test_fraction=0.25).load(0)  # fmt: skip
    inputs = data.train[0]
    assert (len(inputs), len(data.test[1]), data.shape, data.classes) == (9, 3, (3,), 3)
    assert inputs.amin(0).tolist() == [0, 0, 0]
    assert inputs.amax(0).tolist() == [1, 0, 1]
    assert (data.test[0][:, 1] == 0).all()
    (rows, _), (others, _) = split(np.arange(12), y, 0.25)
    low, width = x[rows].min(0), [*np.ptp(x[rows, :1], 0), np.inf, *np.ptp(x[rows, 2:], 0)]
    for part, of in ((data.train, rows), (data.test, others)):
        assert np.array_equal(part[0], np.clip((x[of] - low) / width, 0, 1).astype("f4"))
        assert part[1].tolist() == y[of].tolist()


@pytest.mark.parametrize(
    ("ending", "name"), [(".csv", "data"), (".npz", "data"), (".npz", "compressed"), (".npy", "data")]
)
def test_every_format_gives_the_same_data(tmp_path: Path, ending: str, name: str) -> None:
    x, y = numbers(20)
    found = table(**written(tmp_path, ending, x, y, name), test_fraction=0.3, train_size=8, test_size=4).load(3)  # type: ignore[arg-type]
    (tmp_path / "other").mkdir()
    expected = table(**written(tmp_path / "other", ".npy", x, y), test_fraction=0.3, train_size=8, test_size=4).load(3)  # type: ignore[arg-type]
    for part in ("train", "test"):
        for one, other in zip(getattr(found, part), getattr(expected, part), strict=True):
            assert torch.equal(one, other)


def test_seeds_vary_the_training_sample_alone(tmp_path: Path) -> None:
    files = written(tmp_path, ".npz", *numbers(40))
    first, other, whole = (
        bb.dataset("table", **files, test_fraction=0.25, train_size=size).load(seed)
        for size, seed in ((6, 0), (6, 1), (None, 0))
    )
    assert torch.equal(first.test[0], other.test[0])
    assert torch.equal(first.test[0], whole.test[0])
    assert not torch.equal(first.train[0], other.train[0])
    rows = {row.numpy().tobytes() for row in whole.train[0]}
    assert all(row.numpy().tobytes() in rows for row in first.train[0])


@pytest.mark.parametrize("ending", [".csv", ".npz", ".npy"])
def test_test_points_of_their_own_are_clipped_to_the_box_of_the_training_points(tmp_path: Path, ending: str) -> None:
    x, y = numbers()
    other = np.array([[1e4, -1e4, x[:, 2].mean()], *x[:2]])
    train = written(tmp_path, ending, x, y)
    test = {
        f"test_{name}": path for name, path in written(tmp_path, ending, other, np.array([2, 0, 1]), "test").items()
    }
    data = bb.dataset("table", **train, **test).load(0)
    assert data.train[1].tolist() == y.tolist()
    assert data.test[1].tolist() == [2, 0, 1]
    assert data.test[0][0, :2].tolist() == [1, 0]
    assert torch.equal(data.test[0][1:], data.train[0][:2])


def test_columns_of_test_points_are_found_by_their_names(tmp_path: Path) -> None:
    x, y = numbers()
    train = write_csv(tmp_path / "a.csv", {"one": x[:, 0], "two": x[:, 1], "label": y})
    test = write_csv(tmp_path / "b.csv", {"label": y, "more": y, "two": x[:, 1], "one": x[:, 0]})
    data = table(train, test_path=str(test)).load(0)
    assert torch.equal(data.train[0], data.test[0])


def test_chosen_columns_are_the_inputs(tmp_path: Path) -> None:
    x, y = numbers()
    path = write_csv(
        tmp_path / "a.csv", {"": range(12), "name": ["x"] * 12, "one": x[:, 0], "two": x[:, 1], "label": y}
    )
    assert table(path, inputs=["two"], test_fraction=0.5).load(0).shape == (1,)
    assert table(path, inputs=["two", "one"], test_fraction=0.5).load(0).shape == (2,)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["cat", "ant", "Dog"], [2, 1, 0]),
        (["10", "9", "8"], [2, 1, 0]),
        (["1.0", "2", "-3"], [1, 2, 0]),
        ([" b", "a ", "c"], [1, 0, 2]),
        (["in", "inf", "a"], [1, 2, 0]),
        (["9007199254740993", "9007199254740992", "3"], [2, 1, 0]),
        ([f"1{'0' * 29}1", f"1{'0' * 30}", "3"], [1, 0, 2]),
        (["1_11", "11_1", "2"], [1, 0, 2]),
    ],
)
def test_labels_are_sorted_as_numbers_if_they_are_whole_and_as_texts_otherwise(
    tmp_path: Path, labels: list[str], expected: list[int]
) -> None:
    csv = write_csv(tmp_path / "a.csv", {"x": range(3), "label": labels})
    other = write_csv(tmp_path / "b.csv", {"x": range(2), "label": labels[1:]})
    data = table(csv, test_path=str(other)).load(0)
    assert data.train[1].tolist() == expected
    assert data.test[1].tolist() == expected[1:]
    assert data.classes == 3
    arrays = written(tmp_path, ".npz", np.arange(6.0).reshape(3, 2), np.array(labels))
    assert table(Path(arrays["path"]), test_fraction=0.4).load(0).classes == 3


@pytest.mark.parametrize("kind", ["int8", "uint16", "bool", "float32", "S3", "<U5"])
def test_labels_of_arrays_may_be_of_any_simple_type(tmp_path: Path, kind: str) -> None:
    x, y = numbers()
    files = written(tmp_path, ".npz", x, (y % 2).astype(kind))
    data = bb.dataset("table", **files, test_fraction=0.25).load(0)
    assert data.classes == 2
    assert data.train[1].unique().tolist() == [0, 1]


def test_images_in_an_array_are_scaled_as_a_whole(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (10, 3, 4, 5), np.uint8)
    x[0, 0, 0, 0], x[1, 0, 0, 0] = 0, 255
    np.savez(tmp_path / "a.npz", images=x, label=np.arange(10) % 2, other=np.zeros(3))
    test = np.savez(tmp_path / "b.npz", images=x[:4], label=np.arange(4) % 2)
    assert test is None
    data = table(tmp_path / "a.npz", inputs=["images"], test_path=str(tmp_path / "b.npz")).load(0)
    assert np.array_equal(data.train[0], (x / 255).astype("f4"))
    columns = table(tmp_path / "b.npz", inputs=["images"], scaling="columns", test_fraction=0.5).load(0)
    assert set(columns.train[0].unique().tolist()) <= {0.0, 1.0}


def test_inputs_without_scaling_must_be_in_the_box(tmp_path: Path) -> None:
    x, y = numbers()
    inside = written(tmp_path, ".npy", (x - x.min()) / np.ptp(x), y)
    data = bb.dataset("table", **inside, scaling="none", test_fraction=0.25).load(0)
    assert float(torch.cat([data.train[0], data.test[0]]).max()) == 1
    with pytest.raises(bb.DataError, match=r"inputs lie in \[.*\], outside \[0, 1\]: scale them"):
        bb.dataset("table", **written(tmp_path, ".npy", x, y), scaling="none", test_fraction=0.25).load(0)


def test_rows_are_scaled_in_blocks_as_they_are_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = written(tmp_path, ".npz", *numbers(40))
    whole = bb.dataset("table", **files, test_fraction=0.25).load(0)
    for limit in ("BLOCK", "SPAN"):
        with monkeypatch.context() as patched:
            patched.setattr(table_scaling, limit, 3 * 8 * 7)
            blocks = bb.dataset("table", **files, test_fraction=0.25).load(0)
        assert torch.equal(whole.train[0], blocks.train[0])
        assert torch.equal(whole.test[0], blocks.test[0])


def test_the_identity_is_the_content_and_not_the_place(tmp_path: Path) -> None:
    x, y = numbers()
    (tmp_path / "other").mkdir()
    for ending in (".csv", ".npz", ".npy"):
        files = written(tmp_path, ending, x, y)
        moved = {name: str(tmp_path / "other" / f"moved-{name}{ending}") for name in files}
        for name, path in files.items():
            shutil.copy(path, moved[name])
        first = bb.dataset("table", **files, test_fraction=0.25).identity()
        assert bb.dataset("table", **moved, test_fraction=0.25).identity() == first
        assert str(tmp_path) not in str(first)
        changed = written(tmp_path / "other", ending, x, (y + 1) % 3)
        assert bb.dataset("table", **changed, test_fraction=0.25).identity() != first


def test_test_points_are_part_of_the_identity(tmp_path: Path) -> None:
    x, y = numbers()
    train = written(tmp_path, ".npy", x, y)
    identities = []
    for name, labels in (("one", y), ("two", (y + 1) % 3)):
        test = written(tmp_path, ".npy", x + 1, labels, name)
        identities.append(
            bb.dataset("table", **train, test_path=test["path"], test_label_path=test["label_path"]).identity()
        )
    assert identities[0] != identities[1]
