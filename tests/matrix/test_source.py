"""Files that were made to harm are refused before they cost anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from good_file import written

import bnnbench as bb
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.source import MAX_NODES, Source


def test_a_device_that_never_ends_is_no_file() -> None:
    with pytest.raises(bb.ConfigError, match="larger than 1024 KiB"):
        read_config("/dev/zero")


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)),
        "a: &a {x: 1}\n" + "".join(f"{b}: &{b} {{<<: [*{a}, *{a}, *{a}]}}\n" for a, b in zip("abcdefghijklmnopqrstu", "bcdefghijklmnopqrstuv", strict=True)),
        "a: " + "[" * 5000 + "]" * 5000,
        "x" * (2 << 20),
        "\x00",
        "!!python/object/apply:os.system [echo]",
        "[]",
        "",
        "a: &a {<<: *a}\n",
        "a: !!omap x",
        "a: !!bool x",
        "a: 0x_",
        'a: "\\UFFFFFFFF"',
    ],
)  # fmt: skip
def test_hostile_files_are_refused_before_they_unfold(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, plain = [], Source._plain

    def counted(self: Source, node: Any, path: Any) -> Any:
        made.append(path)
        return plain(self, node, path)

    monkeypatch.setattr(Source, "_plain", counted)
    with pytest.raises(bb.ConfigError):
        read_config(written(tmp_path, text))
    assert len(made) <= MAX_NODES + 1


@pytest.mark.parametrize(
    "text",
    [
        "a: [" + "1," * 250_000 + "1]",
        "a: [" + "a: 1," * 100_000 + "1]",
        'a: {"b":[' + '"a":1,' * 100_000 + "1]}",
        "a:\n" + "- 1\n" * 200_000,
        "a:\r" + "- 1\r" * 200_000,
        ("- " * 400 + "1\n") * 600,
        ("-\t" * 400 + "1\n") * 600,
        "a: [" + ",".join(["[[[[[[[]]]]]]]"] * 20_000) + "]",
        "{" + ",".join(f"a{number}: 1" for number in range(60_000)) + "}",
        "#\n" * 500_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_values_are_counted_before_they_are_made(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise AssertionError("the parser was called")

    monkeypatch.setattr("ruamel.yaml.YAML.load", load)
    with pytest.raises(bb.ConfigError, match=f"more than {MAX_NODES} values"):
        read_config(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ": the file is empty: it needs datasets, networks, posteriors and attacks, certificates or measures"),
        ("# nothing yet\n", ": the file is empty"),
        ("{}", ": the file is empty"),
        (
            "- a\n",
            ": the file must be a mapping with datasets, networks, posteriors and attacks, certificates or measures, not a l",
        ),
        ("just text", ", not 'just text'"),
        ("datasets:\n\tmoons: {}\n", ":2:1: a tab, but YAML is indented with spaces"),
        ("version: 1\n---\nversion: 1\n", ":2:1: a second document (---), but a benchmarks file is one"),
        ("version: 1\nseeds: \x01\n", ":2: YAML has no character U+0001"),
    ],
)
def test_a_file_that_is_no_mapping_is_one_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(bb.ConfigError) as raised:
        read_config(written(tmp_path, text))
    (line,) = raised.value.problems
    assert told in line
