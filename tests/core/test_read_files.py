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
import safetensors.torch
import torch
from safetensors.torch import save_file

import bnnbench as bb
from bnnbench.core import network_files
from bnnbench.core.component_file import component_in_file
from bnnbench.core.module_file import ModuleFile
from bnnbench.core.read_files import checksum_of, unwatched, watched


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_every_way_of_python_to_open_a_file_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("opened", "path", "low", "bytes", "relative"):
        (tmp_path / name).write_text(name)
    np.save(tmp_path / "array.npy", np.zeros(2))
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pt")
    save_file({"weight": torch.zeros(2)}, tmp_path / "weights.safetensors")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "scripted.pt"))
    sqlite3.connect(tmp_path / "base").execute("create table numbers (number)").close()
    readers = [safetensors.torch.safe_open, torch.jit.load]
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
        sqlite3.connect(tmp_path / "base").close()
        assert not Path("absent").exists()
    assert files == {path: sum_of(path) for path in tmp_path.iterdir()}
    assert readers == [safetensors.torch.safe_open, torch.jit.load]


def test_what_is_written_of_the_system_or_installed_is_not_noted(tmp_path: Path) -> None:
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
        with pytest.raises(OSError, match="absent"):
            (tmp_path / "absent").read_text()
    assert files == {}


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


def test_threads_of_the_host_are_not_watched_and_new_ones_are(tmp_path: Path) -> None:
    for name in ("host", "own"):
        (tmp_path / name).write_text("1")
    begin, done = threading.Event(), threading.Event()

    def host() -> None:
        begin.wait(10)
        (tmp_path / "host").read_text()
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
        files: dict[str, str] = {}
        with network_files.noted(network, files):
            network.build(data)
        found.append(files)
        assert network_files.changed(files, network) is None
        assert network_files.difference(files, files, network) is None
        (folder / "scale.txt").write_text("2")
        assert network_files.changed(files, network) == str(folder / "scale.txt")
        told = network_files.difference(files, {**files, "../scale.txt": "other"}, network)
        assert told is not None
        assert told.startswith(f"{folder / 'scale.txt'}, which it read when it was fitted, has changed")
        (folder / "scale.txt").unlink()
        assert network_files.changed(files, network) is None
        assert "is gone" in str(network_files.difference(files, {}, network))
    assert found[0] == found[1]
    assert list(found[0]) == ["../scale.txt", "table.txt"]


def test_files_in_a_record_that_are_something_else_are_none() -> None:
    assert network_files.in_record({"network_files": {"a": "b"}}) == {"a": "b"}
    for wrong in (None, {}, {"network_files": ["a"]}, {"network_files": {"a": 1}}):
        assert network_files.in_record(wrong) == {}
