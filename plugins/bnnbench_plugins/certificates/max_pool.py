"""Bounds of max pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bnnbench_plugins.certificates.intervals import Interval, inner
from bnnbench_plugins.certificates.steps import Computed, Slopes, Step


class MaxPool(Step):
    """The largest value of each window. It rounds nothing.

    The lower line of a window is its coordinate with the largest lower bound. So is the upper line if this lower bound
    is not below the upper bound of any other coordinate; otherwise it is the largest upper bound.
    """

    def __init__(self, source: int, windows: dict[str, Any]) -> None:
        self.sources, self._windows = (source,), windows

    def computed(self, inputs: Sequence[Interval], unit: float) -> Computed:
        return Computed(Interval(self._largest(inputs[0].lower), self._largest(inputs[0].upper)))

    def _largest(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, **self._windows)

    def back(self, rows: Tensor, inputs: Sequence[Interval], slopes: Slopes | None) -> tuple[list[Tensor], Tensor]:
        (given,) = inputs
        chosen, decided = self._chosen(given)
        upper = self._largest(given.upper)
        positive, negative = rows.clamp(min=0), rows.clamp(max=0)
        constant = inner(negative, upper.where(~decided, 0.0))
        through = positive + negative * decided[:, None]
        size = (*through.shape[:3], given.lower.shape[2] * given.lower.shape[3])
        places = chosen.flatten(2)[:, None].expand(-1, through.shape[1], -1, -1)
        scattered = through.new_zeros(size).scatter_add(3, places, through.flatten(3))
        return [scattered.unflatten(3, given.lower.shape[2:])], constant

    def _chosen(self, given: Interval) -> tuple[Tensor, Tensor]:
        """The position in the image of each window's coordinate with the largest lower bound, and whether it is the
        largest value for certain: (N, channels, rows, columns) each."""
        lower, chosen = F.max_pool2d(given.lower, **self._windows, return_indices=True)
        others = self._unfolded(given.upper)
        numbered = torch.arange(given.lower[0, 0].numel(), dtype=given.lower.dtype, device=given.lower.device)
        places = numbered.reshape(1, 1, *given.lower.shape[2:])
        # Padding has the place 0 here, as a coordinate may have, but never the upper bound of one.
        is_chosen = self._unfolded(places, padding=0.0) == chosen.flatten(2)[:, :, None]
        largest = others.masked_fill(is_chosen, -torch.inf).amax(2).reshape(lower.shape)
        return chosen, lower >= largest

    def _unfolded(self, x: Tensor, padding: float = -torch.inf) -> Tensor:
        """The coordinates of each window of x (N, channels, rows, columns): (N, channels, window, windows)."""
        names = {"kernel_size": "kernel_size", "stride": "stride", "dilation": "dilation"}
        rows, columns = self._windows["padding"]
        padded = F.pad(x, (columns, columns, rows, rows), value=padding)
        windows = F.unfold(padded, **{name: self._windows[key] for name, key in names.items()})
        return windows.reshape(x.shape[0], x.shape[1], -1, windows.shape[-1])
