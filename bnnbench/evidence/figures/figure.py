"""The base class of figures: components that describe pictures of results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from bnnbench.core.component import Component
from bnnbench.evidence.figures.picture import Picture
from bnnbench.evidence.results import Results


class Figure(Component):
    """What is drawn of results. Its fields are its parameters; an author writes `pictures`.

    A figure makes no cells and has no section in benchmarks files: it is chosen when a report is made.
    """

    kind: ClassVar[str] = "figure"

    def pictures(self, results: Results) -> Iterable[Picture]:
        """The pictures of results, each of which becomes a file.

        Raises `NotApplicable` if there is nothing to draw; its text says what the results lack.
        """
        raise NotImplementedError
