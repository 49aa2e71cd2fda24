"""Texts of plugins reach a terminal without control characters."""

from __future__ import annotations

from pathlib import Path

from plugged import bnnbench, install
from strangers import EVIL

EVIL_PLUGIN = f"""
from bnnbench import Attack, hookimpl
from pydantic import Field

class Evil(Attack):
    {EVIL!r}

    power: str = Field(default={EVIL!r}, description={EVIL!r})

@hookimpl
def bnnbench_register(registry):
    registry.attack("evil", Evil, help={EVIL!r})
"""


def test_texts_of_plugins_obey_nobody(tmp_path: Path) -> None:
    seen = install(tmp_path / "site", EVIL_PLUGIN)
    install(tmp_path / "site", f"raise RuntimeError({EVIL!r})", "broken")
    for words in (["plugins", "list"], ["plugins", "show", "evil"], ["plugins", "show", "evl"]):
        done = bnnbench(*words, folder=tmp_path, environment=seen)
        told = done.stdout + done.stderr
        assert "alert(1)" in told, words
        assert all(char.isprintable() or char == "\n" for char in told), words
        assert "Traceback" not in told
