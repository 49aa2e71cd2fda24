"""What attacks that maximise an objective share."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from bnnbench import Attack, ObjectiveParameter

_DEFAULT: Any = "predictive-nll"


class Maximising(Attack):
    """An attack with an objective."""

    objective: ObjectiveParameter = Field(default=_DEFAULT)
    """What is maximised: the loss of the classifier that is evaluated; `expected-loss` is the paper's Eq. 2."""
