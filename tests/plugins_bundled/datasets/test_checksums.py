"""Checksums of several files follow their contents and their names."""

from __future__ import annotations

from pathlib import Path

from bnnbench_plugins.datasets.checksums import checksum_of_files


def test_names_and_contents_count_and_the_folder_and_order_do_not(tmp_path: Path) -> None:
    def written(folder: str, **contents: str) -> str:
        files = []
        for name, content in contents.items():
            files.append(tmp_path / folder / name)
            files[-1].parent.mkdir(exist_ok=True)
            files[-1].write_text(content)
        return checksum_of_files(tmp_path / folder, files)

    first = written("first", a="1", b="2")
    assert written("second", b="2", a="1") == first
    assert len({first, written("third", a="1", c="2"), written("fourth", a="1", b="3"), written("fifth", a="1")}) == 4
