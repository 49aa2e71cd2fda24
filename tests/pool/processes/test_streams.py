"""Standard streams that are closed, full, or have lost their reader."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnnbench.pool.processes import streams
from bnnbench.pool.processes.streams import LOST, Output, errors_to


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: the descriptors of its reader and its writer."""
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        if descriptor >= 0:
            os.close(descriptor)


def fill(writer: int) -> int:
    """Write to a pipe until it is full; returns the number of bytes."""
    os.set_blocking(writer, False)
    count = 0
    try:
        while True:
            count += os.write(writer, bytes(1024))
    except BlockingIOError:
        return count


def read(reader: int, count: int) -> bytes:
    content = b""
    while len(content) < count:
        content += os.read(reader, count - len(content))
    return content


@pytest.mark.parametrize("blocking", [True, False])
def test_lines_for_a_reader_that_does_not_read_are_dropped_and_that_is_told_later(
    pipe: tuple[int, int], blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    monkeypatch.setattr(streams, "PATIENCE", 0.01)
    count = fill(writer)
    os.set_blocking(writer, blocking)
    stream = errors_to(writer)
    for _ in range(3):
        print("x" * 100_000, file=stream)
    read(reader, count)
    print("again", file=stream)
    expected = LOST + b"again\n"
    assert read(reader, len(expected)) == expected


def test_what_goes_to_a_full_disk_or_to_a_reader_that_has_gone_is_dropped(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    read_only = os.open(os.devnull, os.O_RDONLY)
    full = os.open("/dev/full", os.O_WRONLY) if Path("/dev/full").exists() else read_only
    for descriptor in (writer, full, read_only):
        stream = errors_to(descriptor)
        assert stream.write("dropped\n") == len("dropped\n")
        stream.flush()
    for descriptor in {full, read_only}:
        os.close(descriptor)
    os.dup2(writer, reader)  # The fixture closes both.


def test_letters_that_the_encoding_lacks_are_escaped(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pipe
    monkeypatch.setattr(sys, "__stderr__", io.TextIOWrapper(io.BytesIO(), "ascii"))
    print("caf\udce9 \u2717", file=errors_to(writer))
    assert os.read(reader, 100) == b"caf\\udce9 \\u2717\n"


@pytest.mark.parametrize("blocking", [True, False])
def test_output_waits_for_its_reader_and_loses_nothing(pipe: tuple[int, int], blocking: bool) -> None:
    reader, writer = pipe
    before = fill(writer)
    os.set_blocking(writer, blocking)
    content = bytes(range(256)) * 2000
    output = Output(writer)
    writing = threading.Thread(target=output.write, args=(content,))
    writing.start()
    assert read(reader, before + len(content))[before:] == content
    writing.join()
    assert output.failure is None


def test_a_reader_that_has_gone_is_no_failure_and_a_full_disk_is(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    output = Output(writer)
    assert output.write(b"more") == 4
    assert output.failure is None
    os.dup2(writer, reader)
    with open(os.devnull, "rb") as read_only:
        output = Output(read_only.fileno())
        assert output.write(b"more") == 4
        assert output.failure is not None
        assert output.failure.errno == errno.EBADF
        assert output.write(b"and more") == 8


@pytest.mark.integration
def test_closed_standard_descriptors_are_opened_on_the_null_device(tmp_path: Path) -> None:
    """Otherwise the file would be descriptor 1, and what is printed would be written into it."""
    code = (
        "import os, sys\n"
        "from bnnbench.pool.processes.streams import open_standard_descriptors\n"
        "open_standard_descriptors()\n"
        "assert [os.get_inheritable(number) for number in range(3)] == [True] * 3\n"
        "with open('file', 'w') as file: assert file.fileno() > 2; os.write(1, b'x'); os.write(2, b'x')\n"
    )
    script = f'exec {sys.executable} -c "$0" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", script, code], cwd=tmp_path, check=False, env=os.environ)
    assert done.returncode == 0
    assert (tmp_path / "file").read_bytes() == b""
