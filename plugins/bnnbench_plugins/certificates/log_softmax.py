"""Bounds of log-softmax at the end of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from bnnbench_plugins.certificates.intervals import Interval
from bnnbench_plugins.certificates.rounding import gamma
from bnnbench_plugins.certificates.steps import Computed, Slopes, Step


class LogSoftmax(Step):
    """The logits from which log-softmax subtracts one number, the same for all classes, as the last step.

    Only differences of its values have a meaning: rows of `back` sum to zero. The number cancels in them, however it
    was rounded. What is left is the rounding of the subtractions: of the largest logit, and of the logarithm of the sum
    of at most K exponentials.
    """

    independent = True
    ROUNDINGS = 4

    def __init__(self, source: int, classes: int) -> None:
        self.sources, self._logarithm = (source,), 1 + math.log(classes)

    def computed(self, inputs: Sequence[Interval], unit: float) -> Computed:
        (given,) = inputs
        reach = (4 * given.magnitude.amax(-1, keepdim=True) + 2 * self._logarithm).expand_as(given.lower)
        error = gamma(self.ROUNDINGS, unit) * reach
        return Computed(given.widened(error), error, reach)

    def back(self, rows: Tensor, inputs: Sequence[Interval], slopes: Slopes | None) -> tuple[list[Tensor], Tensor]:
        return [rows], rows.new_zeros(rows.shape[:2])
