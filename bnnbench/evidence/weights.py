"""What the weights of draws show: how many draws differ, whether they move, and how weights mix."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bnnbench.core import seeds
from bnnbench.core.predictive import Predictive
from bnnbench.statistics.mixing import mixing

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = 50
"""The largest number of weights that are looked at."""


def distinct_draws(predictive: Predictive) -> int:
    """The number of different draws of a predictive; 1 for a chain that never moved."""
    flat = [tensor.reshape(len(predictive), -1).cpu().numpy() for tensor in predictive.draws.values()]
    return len({_checksum(part[draw] for part in flat) for draw in range(len(predictive))})


def _checksum(parts: Any) -> bytes:
    """A checksum of the bytes of arrays: copies of all draws would need as much memory as the draws."""
    checksum = hashlib.blake2b(digest_size=16)
    for part in parts:
        checksum.update(part.tobytes())
    return checksum.digest()


def moves(predictive: Predictive) -> bool:
    """Whether any weight varies among the draws by more than the rounding of float32."""
    for tensor in predictive.draws.values():
        low, high = tensor.amin(0), tensor.amax(0)
        if (high - low > 1e-6 * low.abs().maximum(high.abs())).any():
            return True
    return False


def mixing_of_weights(predictive: Predictive) -> dict[str, Any]:
    """The largest R-hat and the smallest ESS of at most `WEIGHTS` weights, and how far these moved.

    `moved` is the root mean square distance between the first and the last draw of a chain.
    """
    weights = _sampled(list(predictive.draws.values()), len(predictive))
    weights = weights.reshape(predictive.chains, predictive.per_chain, -1)
    rhat, ess = mixing(weights)
    moved = float(np.sqrt(((weights[:, -1] - weights[:, 0]) ** 2).mean()))
    return {"weight_rhat": rhat, "weight_ess": ess, "moved": moved}


def _sampled(tensors: list[Tensor], draws: int) -> NDArray[Any]:
    """At most `WEIGHTS` weights that change, (S, Q); the choice depends on the number of these alone."""
    flat = [tensor.reshape(draws, -1) for tensor in tensors]
    changing = [(part != part[0]).any(0).cpu().numpy() for part in flat]
    places = np.flatnonzero(np.concatenate(changing))
    if not len(places):
        return flat[0][:, :1].cpu().numpy()
    order = np.random.default_rng(seeds.words(0, seeds.CARD)[0]).permutation(len(places))
    chosen = places[np.sort(order[:WEIGHTS])]
    ends = np.cumsum([0, *(part.shape[1] for part in flat)])
    columns = [
        part[:, chosen[(chosen >= start) & (chosen < end)] - start].cpu().numpy()
        for part, start, end in zip(flat, ends[:-1], ends[1:], strict=True)
    ]
    return np.concatenate(columns, 1)
