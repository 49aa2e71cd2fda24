"""Sets of torchvision: where their files are found, the download, and the fingerprint of the files.

MNIST's class is the real one, with small files; others are stand-ins.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets
from bnnbench_plugins.datasets.torchvision_files import LAYOUT, files_of
from data_files import pixels, write_mnist
from torchvision_stand_ins import Tiny

import bnnbench as bb


def test_several_data_sets_share_a_root_and_each_has_its_own_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path / "one")
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path / "one"))
    first = bb.dataset("torchvision", name="MNIST").identity()
    write_mnist(tmp_path / "one", folder="FashionMNIST")
    (tmp_path / "one" / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(b"an archive")
    (tmp_path / "one" / "MNIST" / "raw" / ".hidden-ubyte").write_bytes(b"hidden")
    assert bb.dataset("torchvision", name="MNIST").identity() == first
    shutil.copytree(tmp_path / "one", tmp_path / "two" / "MNIST")
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path / "two"))
    assert bb.dataset("torchvision", name="MNIST").identity() == first
    write_mnist(tmp_path / "two" / "MNIST", train=13)
    assert bb.dataset("torchvision", name="MNIST").identity() != first


def test_the_fingerprint_loads_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path)
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "MNIST", None)
    assert len(bb.dataset("torchvision", name="MNIST").fingerprint()) == 64


def test_files_are_downloaded_once_and_their_content_is_the_identity(cache: Path) -> None:
    first = bb.dataset("torchvision", name="Tiny")
    identity = first.identity()
    assert Tiny.downloads == 2  # the training and the test part
    assert bb.dataset("torchvision", name="Tiny", train_size=3).load(0).classes == 3
    assert bb.dataset("torchvision", name="Tiny").identity() == identity
    assert Tiny.downloads == 2
    assert sorted(path.name for path in cache.iterdir()) == ["Tiny", "Tiny.lock"]
    np.save(cache / "Tiny" / "tiny" / "test.npy", pixels(7, 6, 5, 3, seed=5))
    assert bb.dataset("torchvision", name="Tiny").identity() != identity


def test_whoever_waits_for_a_download_finds_it_done(cache: Path) -> None:
    loaded: list[bb.Data] = []
    threads = [
        threading.Thread(target=lambda: loaded.append(bb.dataset("torchvision", name="Tiny").load(0))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4
    assert Tiny.downloads == 2


PROCESS = """
import sys, time, types
from pathlib import Path
import bnnbench as bb

class Tiny:
    def __init__(self, root, train=True, download=False):
        if not download:
            raise RuntimeError("not found")
        Path(root, "file").write_text("content")
        with open(sys.argv[1], "a") as log:
            log.write("downloaded\\n")
        time.sleep(0.5)

sys.modules["torchvision"] = types.ModuleType("torchvision")
sys.modules["torchvision"].datasets = sys.modules["torchvision.datasets"] = types.SimpleNamespace(Tiny=Tiny)
print(bb.dataset("torchvision", name="Tiny").fingerprint())
"""


@pytest.mark.integration
def test_two_processes_download_once(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("BNNBENCH_DATA", None)
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "log")]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate()[0] for process in running)
    assert first == second != ""
    assert (tmp_path / "log").read_text().splitlines() == ["downloaded"] * 2  # the training and the test part


def test_a_download_that_was_killed_or_fails_leaves_nothing_that_counts(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / ".Tiny-killed" / "tiny").mkdir(parents=True)
    (cache / ".Tiny.abc-running").mkdir()

    def fail(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", fail)
        with pytest.raises(
            bb.DataError, match=r"Tiny could not be downloaded .*no route to host.*BNNBENCH_DATA=FOLDER"
        ):
            bb.dataset("torchvision", name="Tiny").identity()
    assert sorted(path.name for path in cache.iterdir()) == [".Tiny.abc-running", "Tiny.lock"]
    assert len(bb.dataset("torchvision", name="Tiny").load(0).train[1]) == 12


def test_a_class_that_is_not_known_has_a_folder_of_its_own(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for train in (True, False):
        (tmp_path / "given" / "Tiny").mkdir(parents=True, exist_ok=True)
        Tiny(str(tmp_path / "given" / "Tiny"), train, download=True)
    monkeypatch.setattr(Tiny, "downloads", 0)
    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path / "given"))
    assert len(bb.dataset("torchvision", name="Tiny").load(0).train[1]) == 12
    assert Tiny.downloads == 0
    # Files that are not in the given folder are downloaded to the cache.
    assert len(bb.dataset("torchvision", name="Parts", test_split="val").load(0).train[1]) == 12
    assert list(cache.glob("Parts.*"))


def test_every_layout_that_is_known_matches_the_files_that_it_names(tmp_path: Path) -> None:
    for name, patterns in LAYOUT.items():
        assert isinstance(getattr(torchvision.datasets, name), type)
        for pattern in patterns:
            path = tmp_path / name / pattern.replace("**/*", "deep/er").replace("*", "x")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("data")
        (tmp_path / name / "other.tgz").write_text("of another data set")
        assert len(files_of(name, tmp_path / name)) == len(patterns)


def test_where_torchvision_lays_out_files_otherwise_all_of_them_count(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("data")
    assert files_of("CIFAR10", tmp_path) == [tmp_path / "elsewhere"]


def test_packed_files_are_named(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path, folder="KMNIST")
    for path in (tmp_path / "KMNIST" / "raw").iterdir():
        path.rename(f"{path}.gz")

    def refused(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setenv("BNNBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets.KMNIST, "download", refused)
    with pytest.raises(bb.DataError, match=r"KMNIST is not in .*, but .*KMNIST/raw/t10k\S*-ubyte\.gz is: unpack it$"):
        bb.dataset("torchvision", name="KMNIST").identity()
    assert not (cache / "KMNIST").exists()
