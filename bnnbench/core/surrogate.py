"""One network in place of an ensemble, for attacks that transfer their inputs from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from bnnbench.core import arguments
from bnnbench.core.draws import Draws
from bnnbench.core.predictive import Predictive
from bnnbench.errors import Incompatible

if TYPE_CHECKING:
    from torch import Tensor

Source = Literal["mean-network", "one-draw"]
"""What a surrogate is made of: the mean of the weights of all draws, or the first draw alone."""


def surrogate_of(predictive: Predictive, draws: Sequence[int], source: Source) -> Predictive:
    """A predictive of one draw: the network of an ensemble with weights made of those of the draws at some positions.

    Integer weights and buffers have no mean, so those of the first draw are taken. Raises `Incompatible` if the draws
    are not weights of one network, and `ValueError` for an unknown source.
    """
    arguments.one_of(source, get_args(Source), argument="source")
    if not predictive.runs_its_network:
        raise Incompatible(
            f"a surrogate needs draws of the weights of one network, and those of {predictive.described} are not"
        )
    chosen = list(draws) if source == "mean-network" else list(draws)[:1]
    arrays = {name: _mean(tensor[chosen])[None, None] for name, tensor in predictive.draws.items()}
    made = Predictive(predictive.network, Draws(arrays, shared=predictive.shared))
    made.bounds = predictive.bounds
    return made


def _mean(weights: Tensor) -> Tensor:
    """The mean of weights (S, *weight) over S, summed in double precision; the first of them if they are integers."""
    if not weights.is_floating_point():
        return weights[0]
    return weights.double().mean(0).to(weights.dtype)
