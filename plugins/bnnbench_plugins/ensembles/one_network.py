"""Single networks that are made of the draws of another fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from bnnbench import Data, Derived, Draws, Incompatible, PosteriorParameter, Predictive, Progress, no_progress

if TYPE_CHECKING:
    from torch import nn

_VI: Any = "bnnbench:bayes-by-backprop"


class _OneNetwork(Derived):
    """The base of single networks that are made of the draws of another fit."""

    draws: int = Field(default=1, ge=1, le=1)
    """Always 1."""
    of: PosteriorParameter = Field(default=_VI)
    """The posterior of the other fit. In a benchmarks file, a label of `posteriors` shares the fit of that row."""

    def predictive(self, network: nn.Module, draws: Draws) -> Predictive:
        """The predictive that `of` makes of the draw."""
        return self.of.predictive(network, draws)


class MeanNetwork(_OneNetwork):
    """The network with the mean weights of the draws of another fit.

    It shows what averaging over draws adds to robustness: the same knowledge of the weights, without the average over
    predictions. It is a good network only where the draws are around one mode. Arrays of whole numbers are those of the
    first draw. Draws of functions that are not of weights have no mean network.
    """

    revision: ClassVar[int | None] = 2

    def derive(
        self, network: nn.Module, data: Data, draws: Draws, *, seed: int, progress: Progress = no_progress
    ) -> Draws:
        """The mean weights as one draw: arrays (1, 1, *weight). Raises `Incompatible` if the draws are not weights."""
        if not dict(network.named_parameters()).keys() <= draws.arrays.keys() | draws.shared.keys():
            raise Incompatible(
                "the draws of the other fit (of) are not weights of the network: they have no mean network"
            )
        means = {name: _mean(array)[None, None] for name, array in draws.flat().items()}
        return Draws(means, shared=draws.shared)


class OneDraw(_OneNetwork):
    """The network of one draw of another fit: what a single sample of the posterior is worth."""

    revision: ClassVar[int | None] = 1

    draw: int = -1
    """The position of the draw, chain after chain: 0 is the first and -1 the last."""

    @model_validator(mode="after")
    def _draw_exists(self) -> Self:
        if not -self.of.draws <= self.draw < self.of.draws:
            raise ValueError(f"draw ({self.draw}) must be one of the {self.of.draws} draws of the other fit")
        return self

    def derive(
        self, network: nn.Module, data: Data, draws: Draws, *, seed: int, progress: Progress = no_progress
    ) -> Draws:
        """The weights of the draw: arrays (1, 1, *weight). Raises `ValueError` if the fit has fewer draws."""
        if not -len(draws) <= self.draw < len(draws):
            raise ValueError(f"draw ({self.draw}) must be one of the {len(draws)} draws that the other fit has")
        return Draws({name: array[self.draw][None, None] for name, array in draws.flat().items()}, shared=draws.shared)


def _mean(array: np.ndarray) -> np.ndarray:
    """The mean over draws, computed in float64; the first draw of an array of whole numbers."""
    if array.dtype.kind != "f":
        return array[0]
    return array.mean(0, dtype=np.float64).astype(array.dtype)
