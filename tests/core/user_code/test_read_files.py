"""Which files are noted while code is watched."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from safetensors.torch import save_file

import bnnbench as bb
from bnnbench.core import dependencies
from bnnbench.core.component_file import component_in_file
from bnnbench.core.module_file import ModuleFile
from bnnbench.core.user_code.read_files import WRITTEN, checksum_of, kept_by, unwatched, watched


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_every_way_of_python_to_open_a_file_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("opened", "path", "low", "bytes", "relative", "mapped"):
        (tmp_path / name).write_text(name)
    np.save(tmp_path / "array.npy", np.zeros(2))
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pt")
    save_file({"weight": torch.zeros(2)}, tmp_path / "weights.safetensors")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "scripted.pt"))
    for name in ("base", "base of 1%"):
        sqlite3.connect(tmp_path / name).execute("create table numbers (number)").close()
    monkeypatch.chdir(tmp_path)
    with watched() as files:
        open(tmp_path / "opened").close()
        (tmp_path / "path").read_text()
        os.close(os.open(tmp_path / "low", os.O_RDONLY))
        open(os.fsencode(tmp_path / "bytes")).close()
        open("relative").close()
        np.load(tmp_path / "array.npy")
        torch.load(tmp_path / "weights.pt")
        safetensors.torch.load_file(tmp_path / "weights.safetensors")
        torch.jit.load(tmp_path / "scripted.pt")
        torch.from_file(str(tmp_path / "mapped"), size=6, dtype=torch.uint8)
        sqlite3.connect(tmp_path / "base").close()
        sqlite3.connect(f"{(tmp_path / 'base of 1%').as_uri()}?mode=ro", uri=True).close()
        assert not Path("absent").exists()
    assert files == {path: sum_of(path) for path in tmp_path.iterdir()}


def test_what_is_written_is_known_as_such_and_files_of_the_system_or_installed_are_not_noted(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("1")
    (tmp_path / "private").write_text("1")
    with watched() as files:
        (tmp_path / "new").write_text("1")
        (tmp_path / "new").read_text()
        (tmp_path / "log").read_text()
        with (tmp_path / "log").open("a") as log:
            log.write("2")
        for path in ("/proc/self/status", "/etc/hosts", np.__file__, os.__file__, bb.__file__):
            if Path(path).exists():
                Path(path).read_bytes()
        with unwatched():
            (tmp_path / "private").read_text()
        (tmp_path / "temporary").write_text("1")
        os.replace(tmp_path / "temporary", tmp_path / "replaced")
        (tmp_path / "replaced").read_text()
    assert files == {tmp_path / name: WRITTEN for name in ("new", "log", "replaced")}


def test_a_file_that_is_absent_is_noted_unless_the_body_makes_it(tmp_path: Path) -> None:
    with watched() as files:
        for name in ("absent", "made"):
            with pytest.raises(OSError, match=name):
                (tmp_path / name).read_text()
        (tmp_path / "made").write_text("1")
        (tmp_path / "made").read_text()
        sqlite3.connect(":memory:").close()
        folder = os.open(tmp_path, os.O_RDONLY)
        os.close(os.open("made", os.O_RDONLY, dir_fd=folder))
        os.close(folder)
        with pytest.raises(OSError, match="sub"):
            Path("/etc/absent/sub").read_text()
    assert files == {tmp_path / "absent": None, tmp_path / "made": WRITTEN}


def test_a_file_that_is_opened_for_reading_and_writing_is_read_unless_it_is_changed(tmp_path: Path) -> None:
    np.zeros(4, "f4").tofile(tmp_path / "raw")
    np.save(tmp_path / "array.npy", np.zeros(2))
    sqlite3.connect(tmp_path / "base").execute("create table numbers (number)").close()
    for name in ("edited", "truncated"):
        (tmp_path / name).write_text("1")
    with watched() as files:
        np.memmap(tmp_path / "raw", "f4")
        np.load(tmp_path / "array.npy", mmap_mode="r+")
        with (tmp_path / "edited").open("r+") as edited:
            edited.write(f"{edited.read()}2")
        (tmp_path / "truncated").open("w+").close()
        base = sqlite3.connect(tmp_path / "base")
        base.execute("create table others (number)")
        base.close()
    written = {tmp_path / name: WRITTEN for name in ("edited", "truncated", "base")}
    assert files == {tmp_path / name: sum_of(tmp_path / name) for name in ("raw", "array.npy")} | written


def test_readers_of_other_languages_stay_what_they_are(tmp_path: Path) -> None:
    """They are replaced for ever: overlapping watches do not put back each other's functions."""
    save_file({"weight": torch.zeros(2)}, tmp_path / "weights.safetensors")
    first, second = watched(), watched()
    with pytest.raises(OSError, match="absent"):
        safetensors.safe_open(tmp_path / "absent", "pt")
    outer = first.__enter__()
    inner = second.__enter__()
    during = [safetensors.safe_open, safetensors.torch.safe_open, torch.jit.load]
    first.__exit__(None, None, None)
    with safetensors.safe_open(tmp_path / "weights.safetensors", framework="pt") as file:
        assert isinstance(file, safetensors.safe_open)
        assert not isinstance(1, safetensors.safe_open)
    second.__exit__(None, None, None)
    assert isinstance(safetensors.safe_open, type)
    assert (list(outer), list(inner)) == ([], [tmp_path / "weights.safetensors"])
    assert [safetensors.safe_open, safetensors.torch.safe_open, torch.jit.load] == during


def test_what_a_cached_function_has_read_is_known_by_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_that_keeps.py").write_text(
        "import functools\nfrom pathlib import Path\n"
        "def read(name): return (Path(__file__).parent / name).read_text()\n"
        "@functools.cache\ndef kept(name): return read(name)\n"
    )
    for name in ("kept", "read"):
        (tmp_path / name).write_text("1")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    import module_that_keeps

    for expected in (["kept", "read"], ["read"]):
        with watched() as files:
            module_that_keeps.kept("kept")
            module_that_keeps.read("read")
        assert [path.name for path in files] == expected
        assert kept_by(["module_that_keeps", "another"]) == {tmp_path / "kept": sum_of(tmp_path / "kept")}


def test_what_an_installed_module_reads_while_it_is_imported_is_not_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "settings").write_text("1")
    read = f"open({str(tmp_path / 'settings')!r}).close()\n"
    (tmp_path / "site-packages" / "library_that_reads.py").write_text(f"{read}def read(): {read}")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    with watched() as files:
        import library_that_reads
    assert files == {}
    with watched() as files:
        library_that_reads.read()
    assert list(files) == [tmp_path / "settings"]


def test_threads_of_the_host_are_not_watched_and_own_ones_are(tmp_path: Path) -> None:
    for name in ("host", "own"):
        (tmp_path / name).write_text("1")
    begin, done = threading.Event(), threading.Event()

    def host() -> None:
        begin.wait(10)
        (tmp_path / "host").read_text()
        started = threading.Thread(target=(tmp_path / "host").read_text)
        started.start()
        started.join()
        done.set()

    threading.Thread(target=host, daemon=True).start()
    with watched() as files:
        begin.set()
        assert done.wait(10)
        new = threading.Thread(target=(tmp_path / "own").read_text)
        new.start()
        new.join()
    assert list(files) == [tmp_path / "own"]


def test_a_checksum_follows_every_edit_and_nothing_else_has_one(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    for path, size in ((small, 10), (large, 2**21)):
        path.write_bytes(b"1" * size)
        before = checksum_of(path)
        assert before == checksum_of(path) == sum_of(path)
        path.write_bytes(b"2" * size)
        os.utime(path, ns=(0, 5))
        assert checksum_of(path) == sum_of(path) != before
    large.write_bytes(b"1" * 2**21)
    before, status = checksum_of(large), large.stat()
    with large.open("r+b") as file:
        file.write(b"2")
    os.utime(large, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert checksum_of(large) == sum_of(large) != before
    assert checksum_of(tmp_path) is None
    assert checksum_of(tmp_path / "absent") is None
    assert checksum_of(Path("/dev/zero")) is None


NET = """
from pathlib import Path
import torch
import bnnbench as bb

TABLE = (Path(__file__).parent / "table.txt").read_text()

class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
        self.scale = float((Path(__file__).parents[1] / "scale.txt").read_text())

class Component(bb.Network):
    def build(self, data):
        return Net()
"""


@pytest.mark.parametrize("kind", ["module", "component"])
def test_the_files_of_a_network_have_names_that_move_with_the_project(kind: str, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "nets").mkdir(parents=True)
        (folder / "pyproject.toml").touch()
        (folder / "nets" / "net.py").write_text(NET)
        (folder / "nets" / "table.txt").write_text("1")
        (folder / "scale.txt").write_text("1")
        path = folder / "nets" / "net.py"
        network = (
            ModuleFile(path=str(path), name="Net")
            if kind == "module"
            else component_in_file("network", path, "Component")()
        )
        x = torch.rand(4, 2)
        data = bb.Data(train=(x, torch.arange(4) % 2), test=(x, torch.arange(4) % 2))
        record: dict[str, dependencies.Files] = {}
        with dependencies.noted(network, record) as now:
            network.build(data)
        files = record["network_files"]
        found.append(files)
        assert dependencies.changed(record, network) is None
        assert dependencies.difference(files, now, network) is None
        (folder / "scale.txt").write_text("2")
        change = dependencies.Change("network", str(folder / "scale.txt"), appeared=False)
        assert dependencies.changed(record, network) == change
        told = dependencies.difference(files, {**files, "../scale.txt": "other"}, network)
        assert told is not None
        assert told.startswith(f"{folder / 'scale.txt'}, which it read when it was fitted, has changed")
        (folder / "scale.txt").unlink()
        assert dependencies.changed(record, network) is None
        assert "is gone" in str(dependencies.difference(files, {}, network))
    assert found[0] == found[1]
    assert list(found[0]) == ["../scale.txt", "table.txt"]


def test_files_in_a_record_that_are_something_else_are_none() -> None:
    network = bb.network("fc")
    assert dependencies.in_record({"network_files": {"a": "b", "c": None}}, network) == {"a": "b", "c": None}
    for wrong in (None, {}, {"network_files": ["a"]}, {"network_files": {"a": 1}}, {"dataset_files": {"a": "b"}}):
        assert dependencies.in_record(wrong, network) == {}
