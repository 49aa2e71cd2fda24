"""Names in messages: all of them, and what a misspelt one was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

SHOWN = 10
"""The most names that a message lists."""


def hint(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'NAME'?` with the most similar name, whatever its case; empty if none is similar."""
    lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    return f"; did you mean '{lower[close[0]]}'?" if close else ""


def meant(name: str, names: Sequence[str], what: str) -> str:
    """The end of a message that a name is not among those of a file: the one that is similar, or else all of them."""
    return hint(name, names) or f"; its {what} are {listed(names)}"


def listed(names: Sequence[str]) -> str:
    """Names for a message, cut after `SHOWN`."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more
