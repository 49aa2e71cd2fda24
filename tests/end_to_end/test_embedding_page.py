"""The blocks of the page about embedding run in their order, in one program."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "embedding.md"


def test_the_blocks_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text()
    assert text.count("images=100, attacks=") == 1
    text = text.replace("images=100, attacks=", "images=10, attacks=")  # The audit takes half of the time.
    blocks = list(re.finditer(r"```python\n(.*?)```", text, re.DOTALL))
    assert len(blocks) > 10
    names: dict[str, object] = {"__name__": "page"}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        for block in blocks:
            # Empty lines before the block give errors the line numbers of the page.
            code = "\n" * text.count("\n", 0, block.start(1)) + block[1]
            exec(compile(code, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    (shown,) = re.findall(r"^    (Outcome\(.*)$", text, re.MULTILINE)
    assert shown.partition(":")[0] in printed
    assert "the predictive gives no gradient" in printed
    assert "independent" in printed
