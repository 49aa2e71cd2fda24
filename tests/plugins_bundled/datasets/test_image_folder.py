"""Folders of images: layouts, labels, samples, identities, and the message for each mistake."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_files import pixels, write_classes, write_image

import bnnbench as bb


def folder(path: Path, **parameters: Any) -> bb.Dataset:
    return bb.dataset("image-folder", path=str(path), **parameters)


def image_of(path: Path) -> torch.Tensor:
    from PIL import Image

    array = np.asarray(Image.open(path), np.float32) / 255
    return torch.from_numpy(array if array.ndim == 3 else array[..., None]).permute(2, 0, 1)


def is_among(image: torch.Tensor, paths: list[Path]) -> bool:
    return any(torch.equal(image, image_of(path)) for path in paths)


def test_train_and_test_folders_hold_the_classes_by_name(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"zebra": 3, "ant": 2, "Cat": 4}, 6, 5, 3)
    write_classes(tmp_path / "test", {"ant": 2, "zebra": 1}, 6, 5, 3, seed=9)
    data = folder(tmp_path).load(0)
    assert data.shape == (3, 6, 5)
    assert data.classes == 3
    assert data.train[1].tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2]
    assert data.test[1].tolist() == [1, 1, 2]
    assert torch.equal(data.train[0][4], image_of(tmp_path / "train" / "ant" / "0.png"))
    assert torch.equal(data.test[0][2], image_of(tmp_path / "test" / "zebra" / "0.png"))


def test_one_folder_is_split_once_for_all_seeds(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 8, "b": 12})
    first, other = (folder(tmp_path, test_fraction=0.25, train_size=6).load(seed) for seed in (0, 1))
    whole = folder(tmp_path, test_fraction=0.25).load(5)
    assert len(whole.test[1]) == 5
    assert len(whole.train[1]) == 15
    assert torch.equal(first.test[0], other.test[0])
    assert torch.equal(first.test[0], whole.test[0])
    assert not torch.equal(first.train[0], other.train[0])
    paths = {label: [*(tmp_path / name).iterdir()] for label, name in enumerate("ab")}
    for x, y in (first.train, first.test, whole.train):
        assert all(is_among(image, paths[int(label)]) for image, label in zip(x, y, strict=True))
    train = {image.numpy().tobytes() for image in whole.train[0]}
    assert not any(image.numpy().tobytes() in train for image in whole.test[0])


def test_deeper_folders_and_other_endings_count_and_hidden_files_do_not(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in "ab":
            write_image(tmp_path / part / name / "images" / "deep.BMP", pixels(4, 4))
            write_image(tmp_path / part / name / ".hidden.png", pixels(9, 9))
            write_image(tmp_path / part / name / ".thumbnails" / "small.png", pixels(2, 2))
            (tmp_path / part / name / "notes.txt").write_text("no image")
        (tmp_path / part / ".cache").mkdir()
    data = folder(tmp_path).load(0)
    assert len(data.train[1]) == len(data.test[1]) == 2


def test_only_the_images_of_the_samples_are_read(tmp_path: Path) -> None:
    write_classes(tmp_path, {"a": 10, "b": 10})
    fraction: dict[str, Any] = {"test_fraction": 0.5, "train_size": 3, "test_size": 2}
    data = folder(tmp_path, **fraction).load(0)
    kept = [*data.train[0], *data.test[0]]
    for path in tmp_path.rglob("*.png"):
        if not any(torch.equal(image_of(path), image) for image in kept):
            path.write_bytes(b"damaged")
    again = folder(tmp_path, **fraction).load(0)
    assert torch.equal(again.train[0], data.train[0])
    with pytest.raises(bb.DataError, match=r"png cannot be read as an image: cannot identify"):
        folder(tmp_path, test_fraction=0.5).load(0)


def test_the_identity_is_the_names_and_contents_and_not_the_place(tmp_path: Path) -> None:
    write_classes(tmp_path / "one", {"a": 2, "b": 2})
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = (folder(tmp_path / name, test_fraction=0.5).identity() for name in ("one", "two"))
    assert one == two
    assert str(tmp_path) not in str(one)
    shutil.move(tmp_path / "two" / "a" / "0.png", tmp_path / "two" / "a" / "other.png")
    assert folder(tmp_path / "two", test_fraction=0.5).identity() != one
    write_image(tmp_path / "one" / "a" / "0.png", pixels(5, 4, seed=77))
    assert folder(tmp_path / "one", test_fraction=0.5).identity() != one
    assert (
        folder(tmp_path / "two", test_fraction=0.4).identity() != folder(tmp_path / "two", test_fraction=0.5).identity()
    )


def test_the_two_folders_may_have_other_names(tmp_path: Path) -> None:
    write_classes(tmp_path / "Train", {"a": 2, "b": 2})
    write_classes(tmp_path / "val", {"a": 1, "b": 1}, seed=5)
    with pytest.raises(
        bb.DataError, match=r"no folder 'train'; .* train_folder if it has another name .folders: Train, v"
    ):
        folder(tmp_path).load(0)
    found = folder(tmp_path, train_folder="Train", test_folder="val")
    other = folder(tmp_path, train_folder="val", test_folder="Train")
    assert (len(found.load(0).test[1]), len(other.load(0).test[1])) == (2, 4)
    assert found.identity() != other.identity()
    with pytest.raises(bb.ParameterError, match="train_folder and test_folder are both 'val'"):
        folder(tmp_path, train_folder="val", test_folder="val")


def test_links_are_followed_and_what_archives_of_macos_hold_is_not(tmp_path: Path) -> None:
    write_classes(tmp_path / "images", {"a": 2, "b": 2})
    write_classes(tmp_path / "elsewhere", {"more": 3}, seed=5)
    (tmp_path / "images" / "a" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "images" / "b" / "back").symlink_to(tmp_path / "images")
    write_image(tmp_path / "images" / "__MACOSX" / "a" / "._0.png", pixels(2, 2))
    files = folder(tmp_path / "images", test_fraction=0.5)._files()[0]  # type: ignore[attr-defined]
    assert [label for _, label in files] == [0] * 5 + [1] * 2


def test_images_of_several_sizes_are_resized_or_told(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", {"a": 2, "b": 2}, 6, 5)
    write_classes(tmp_path / "test", {"a": 2, "b": 2}, 8, 8)
    with pytest.raises(bb.DataError, match=r"test/a/0\.png has 8x8 pixels, .*train/a/0\.png 6x5: .* image_size"):
        folder(tmp_path).load(0)
    assert folder(tmp_path, image_size=7).load(0).shape == (1, 7, 7)
    assert folder(tmp_path, image_size=[7, 3], channels=3).load(0).shape == (3, 7, 3)
    assert folder(tmp_path, image_size=7).identity() == folder(tmp_path, image_size=[7, 7]).identity()


def test_classes_that_are_called_train_and_test_are_classes(tmp_path: Path) -> None:
    write_classes(tmp_path, {"train": 4, "test": 4})
    data = folder(tmp_path, test_fraction=0.5).load(0)
    assert data.classes == 2


def broken(path: Path, how: str) -> dict[str, Any]:
    """Write a folder with a mistake; gives the parameters of its data set."""
    if how == "absent":
        return {"path": str(path / "absent")}
    if how == "file":
        (path / "file").write_text("x")
        return {"path": str(path / "file")}
    counts = {"one class": {"a": 4}, "no images": {"a": 2, "b": 0}}.get(how, {"a": 2, "b": 2})
    if how in ("no parts", "one class", "no images", "too few"):
        write_classes(path, counts)
        (path / "b").mkdir(exist_ok=True) if how == "no images" else None
        fraction = {"no parts": None, "too few": 0.01}.get(how, 0.5)
        return {"path": str(path), "test_fraction": fraction}
    write_classes(path / "train", counts)
    if how == "no test":
        return {"path": str(path)}
    write_classes(path / "test", {"c": 1} if how == "new class" else {} if how == "empty test" else counts)
    (path / "test").mkdir(exist_ok=True)
    return {"path": str(path), "test_fraction": 0.5 if how == "both" else None}


MISTAKES = {
    "absent": "absent: no such folder",
    "file": "file: not a folder",
    "no parts": "has no folder 'train'; give test_fraction if its folders are the classes",
    "no test": "has no folder 'test'; give test_fraction",
    "both": "has a folder train or test of classes: leave test_fraction out",
    "one class": "has one class alone, 'a'; at least two",
    "no images": r"b has no images \(\.bmp",
    "too few": "test_fraction 0.01 of 4 images leaves no split",
    "new class": "test has the class 'c', which .*train has not",
    "empty test": "test has no folders of classes",
}


@pytest.mark.parametrize("how", MISTAKES)
def test_each_mistake_has_one_line(tmp_path: Path, how: str) -> None:
    parameters = broken(tmp_path, how)
    with pytest.raises(bb.DataError, match=MISTAKES[how]) as told:
        bb.dataset("image-folder", **parameters).load(0)
    assert "\n" not in str(told.value)


def test_a_missing_path_and_absurd_parameters_are_told() -> None:
    with pytest.raises(bb.DataError, match="image-folder needs a path"):
        bb.dataset("image-folder").identity()
    for parameters in ({"image_size": 0}, {"image_size": [3]}, {"channels": 2}, {"test_fraction": 1.0}):
        with pytest.raises(ValueError):
            bb.dataset("image-folder", **parameters)
