"""What a part of a fit keeps while it is fitted, so that it can go on from there after it was ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Arrays = Mapping[str, np.ndarray]
"""Arrays by name."""


@dataclass(frozen=True)
class PartState:
    """Where the fit of a part has come to.

    `arrays` are whatever the method needs to go on with the same bits. `draws` are the draws that it has kept so far:
    name -> array (number, *weight). It has none of these before the first is kept.
    """

    arrays: Arrays
    draws: Arrays = field(default_factory=dict)


class PartMemory:
    """Keeps the state of one part of a fit from time to time. This one keeps nothing, as in a program without a store.

    A method that goes on from such a state calls `last` once, then `keep` after each of its steps, and `finish` after
    the last one.
    """

    def last(self) -> PartState | None:
        """The state that was kept last, of a part with the same beginning; None if there is none."""
        return None

    def keep(self, arrays: Callable[[], Arrays], draws: Sequence[Arrays]) -> None:
        """Keep a state if it is time. `draws` are all draws so far, each name -> array (*weight)."""

    def finish(self, arrays: Callable[[], Arrays], draws: Sequence[Arrays]) -> None:
        """Keep the state at the end, from which a part with more draws can go on."""


NO_MEMORY = PartMemory()
"""A memory that keeps nothing."""
