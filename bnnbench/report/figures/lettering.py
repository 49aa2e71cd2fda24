"""Texts of pictures in lines that fit, measured in the font that pictures use."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from bnnbench.report.figures.style import FONT, SIZE

LINE = 1.4 * SIZE / 72
"""The height of a line of text, in inches."""


def wrapped(text: str, width: float, scale: float = 1.0) -> str:
    """A text in lines of at most `width` inches, at `scale` times the usual size; its own lines stay apart."""
    return "\n".join("\n".join(_lines(line, width / scale)) for line in text.split("\n"))


def height_of(text: str, scale: float = 1.0) -> float:
    """The height of a text in inches, at `scale` times the usual size; 0 of an empty one."""
    return scale * LINE * (text.count("\n") + 1) if text else 0.0


@functools.lru_cache(maxsize=4096)
def width_of(text: str) -> float:
    """The width of one line of text in inches, at the usual size; a little more, for viewers round differently."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=FONT, size=SIZE)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return 1.03 * float(width) / 72


def _lines(text: str, width: float) -> Iterator[str]:
    """The lines of a text. They end after a space, or after what separates swept values; else words are broken."""
    line = ""
    for piece in re.split(r"(?<=[ ,@/])", text):
        if width_of((line + piece).rstrip()) <= width:
            line += piece
            continue
        if line:
            yield line.rstrip()
        *parts, line = _parts(piece, width)
        yield from parts
    yield line.rstrip()


def _parts(word: str, width: float) -> list[str]:
    """A word in parts that fit, at least one."""
    parts = [""]
    for letter in word:
        if parts[-1] and width_of(parts[-1] + letter) > width:
            parts.append("")
        parts[-1] += letter
    return parts
