"""What attacks that climb from random starts have in common."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from bnnbench.authoring import Maximising


class Restarting(Maximising):
    """An attack that climbs an objective from one start or several, and may leave broken images alone."""

    random_start: bool = True
    """Start from uniform noise in the ball instead of the clean input."""
    restarts: int = Field(default=1, ge=1)
    """Number of runs for each objective, each with a random start of its own."""
    stop_when_broken: bool = False
    """Stop attacking an image once it is misclassified. Faster, but softmax robustness is then not reported."""

    @model_validator(mode="after")
    def _restarts_differ(self) -> Self:
        if self.restarts > 1 and not self.random_start:
            raise ValueError("restarts above 1 need random_start: without it all runs are the same")
        return self

    @property
    def stops_early(self) -> bool:
        return self.stop_when_broken
