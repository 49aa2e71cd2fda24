"""Where the files of torchvision's data sets lie, and their download."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bnnbench import DataError
from bnnbench_plugins.datasets.downloads import cache, download_once
from bnnbench_plugins.datasets.idx import VARIABLE

LAYOUT: dict[str, tuple[str, ...]] = {
    "CIFAR10": ("cifar-10-batches-py/*",),
    "CIFAR100": ("cifar-100-python/*",),
    "Country211": ("country211/**/*",),
    "DTD": ("dtd/**/*",),
    "EMNIST": ("EMNIST/raw/*-ubyte",),
    "FGVCAircraft": ("fgvc-aircraft-2013b/**/*",),
    "FashionMNIST": ("FashionMNIST/raw/*-ubyte",),
    "Flowers102": ("flowers-102/**/*",),
    "Food101": ("food-101/**/*",),
    "GTSRB": ("gtsrb/**/*",),
    "Imagenette": ("imagenette2*/**/*",),
    "KMNIST": ("KMNIST/raw/*-ubyte",),
    "LFWPeople": ("lfw-py/**/*",),
    "MNIST": ("MNIST/raw/*-ubyte",),
    "OxfordIIITPet": ("oxford-iiit-pet/**/*",),
    "PCAM": ("pcam/*.h5",),
    "QMNIST": ("QMNIST/raw/*-ubyte", "QMNIST/raw/*-int"),
    "RenderedSST2": ("rendered-sst2/**/*",),
    "STL10": ("stl10_binary/*",),
    "SVHN": ("*_32x32.mat",),
    "StanfordCars": ("stanford_cars/**/*",),
    "USPS": ("usps.bz2", "usps.t.bz2"),
}
"""The files of a class of `torchvision.datasets`, as patterns of paths below its `root`.

Several data sets can share a root, so that the fingerprint of one must not count the files of the others. A class that
is absent here needs a root of its own.
"""
ARCHIVES = (".gz", ".tar", ".tgz", ".zip")
"""Endings of the files that a download is unpacked from."""


def files_of(name: str, root: Path) -> list[Path]:
    """The files of a class below a root, without hidden files and the archives that they were unpacked from.

    All files count if the class is not in `LAYOUT`, or if a pattern of it matches no file.
    """
    found = [list(_matching(name, root, pattern)) for pattern in LAYOUT.get(name, ())]
    return [path for paths in found for path in paths] if found and all(found) else list(_matching(name, root, "**/*"))


def located(name: str, variant: str) -> Path | None:
    """The root that holds the files of a class, None if they are not on this computer.

    `$BNNBENCH_DATA` and `$BNNBENCH_DATA/<name>` are looked at before the user's cache. `variant` is a text for the
    arguments of the class, empty if it has none: a download of its own belongs to each.
    """
    given = os.environ.get(VARIABLE)
    if given and name in LAYOUT and _holds(name, Path(given)):
        return Path(given)
    if given and _holds(name, Path(given, name)):
        return Path(given, name)
    cached = _cached(name, variant)
    return cached if cached.is_dir() else None


def downloaded(name: str, variant: str, download: Callable[[Path], None]) -> Path:
    """The root in the user's cache, after `download(root)` has filled it.

    Other processes wait, and then find the files. They become visible together, when all are there. Raises `DataError`
    if the download fails or the cache cannot be written to.
    """
    target = _cached(name, variant)

    def fill(work: Path) -> None:
        root = work / target.name
        root.mkdir()
        # Old versions of torchvision print to the standard output, which belongs to the command.
        with contextlib.redirect_stdout(sys.stderr):
            download(root)
        root.rename(target)

    try:
        download_once(target.parent, target.name, lambda: not target.is_dir(), fill)
    except DataError:
        raise
    except Exception as error:  # torchvision's classes raise errors of any class
        given = os.environ.get(VARIABLE)
        absent = f"is not in {given} and " if given else ""
        packed = _packed(name, Path(given)) if given else None
        if packed:
            raise DataError(f"torchvision's {name} is not in {given}, but {packed} is: unpack it") from error
        told = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"torchvision's {name} {absent}could not be downloaded to {target.parent} ({told}); without a network, put "
            f"its files, unpacked, below FOLDER as torchvision does below its root, and set {VARIABLE}=FOLDER"
        ) from error
    return target


def _cached(name: str, variant: str) -> Path:
    # A dot, because a download clears away what a killed one of its own name and a hyphen has left.
    ending = f".{hashlib.sha256(variant.encode()).hexdigest()[:12]}" if variant else ""
    return cache() / "torchvision" / f"{name}{ending}"


def _packed(name: str, root: Path) -> Path | None:
    """A packed file where a file of the class is missed; None if there is none."""
    folders = [Path(root, pattern.partition("*")[0]) for pattern in LAYOUT.get(name, ())]
    found = (path for folder in folders if folder != root and folder.is_dir() for path in sorted(folder.iterdir()))
    return next((path for path in found if path.suffix in ARCHIVES), None)


def _holds(name: str, root: Path) -> bool:
    """Whether a root has a file for each pattern of the class."""
    return all(any(_matching(name, root, pattern)) for pattern in LAYOUT.get(name, ("**/*",)))


def _matching(name: str, root: Path, pattern: str) -> Iterator[Path]:
    for path in root.glob(pattern):
        unpacked = name in LAYOUT and path.suffix in ARCHIVES
        if not path.name.startswith(".") and not unpacked and path.is_file():
            yield path
