"""The input gradients of the draws, their average, and what remains of it beyond averaging."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Measure, ObjectiveParameter, Quantity
from bnnbench.authoring import independence
from bnnbench_plugins.measures import averaging

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench import Defence, Objective

HELD = 2**26
"""Bytes of gradients that are held at the same time; at least those of one image."""
COORDINATES = 100
"""The largest number of gradient coordinates from which the effective number of draws is estimated."""
Z = 1.96
"""Standard errors on each side of a 95% interval."""
_EXPECTED_LOSS: Any = "bnnbench:expected-loss"


class Gradients(Measure):
    """The norm of the average of the draws' input gradients, and what averaging alone explains of it.

    Carbone et al. (2020, Eq. 3) say that the mean gradient over the posterior is zero in a limit. The norm of the
    average over draws falls with their number whatever the mean is: as 1 / sqrt(draws), down to the norm of the mean.
    This measure tells the two apart, at the clean test images that attacks use, with the draws that defend. Figures:

    - `draws`; `effective_draws`, the number of independent draws that vary as much: all of them if they are known to be
      independent, an estimate from the chains otherwise, and None if the chains are too short for one. Independence is
      then assumed.
    - `gradient_norm`: the mean over images of the norm of the average gradient (the gradient of Eq. 2)
    - `gradient_null`: the norm that the draws' average would have if they were independent with mean zero
    - `single_norm`: the mean over images of the root mean square norm of one draw's gradient
    - `plateau`: the unbiased estimate of the squared norm of the mean gradient over the posterior, in the mean over
      images, with its 95% interval (`plateau_low`, `plateau_high`), which allows for other draws and other images. None
      with one draw; the interval needs three.
    - `zero_share`: the share of images whose average gradient is exactly zero

    Arrays: `norm` (images, counts) of averages over the first `count` draws, in an order that is spread over the
    chains; `square` (images,), the mean of the draws' squared norms; `gram` (draws, draws), the products of the draws'
    gradients in the mean over images.
    """

    revision: ClassVar[int | None] = 2
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("index", ("image",), "int", "", "position in the test set"),
        Quantity("count", ("count",), "int", "draws", "numbers of draws that are averaged"),
        Quantity("norm", ("image", "count"), "float", "1/input", "norm of the average gradient of that many draws"),
        Quantity("square", ("image",), "float", "1/input^2", "mean over draws of the squared norm"),
        Quantity("zero", ("image",), "bool", "", "the average gradient is exactly zero"),
        Quantity("gram", ("draw", "other"), "float", "1/input^2", "mean over images of products of draws' gradients"),
        Quantity("draws", (), "int", "draws", "defending draws"),
        Quantity("effective", (), "float", "draws", "independent draws that vary as much", optional=True),
    )
    figure_names: ClassVar[tuple[str, ...]] = (
        "images",
        "draws",
        "effective_draws",
        "gradient_norm",
        "gradient_null",
        "single_norm",
        "plateau",
        "plateau_low",
        "plateau_high",
        "zero_share",
    )

    objective: ObjectiveParameter = Field(default=_EXPECTED_LOSS)
    """The function of one draw's prediction whose gradient is taken: by default its cross-entropy, as in Eq. 2."""

    def measure(self, defence: Defence) -> dict[str, Any]:
        predictive, draws, sample = defence.predictive, defence.defenders, defence.sample
        counts = averaging.counts_up_to(len(draws))
        parts, gram = [], np.zeros((len(draws), len(draws)))
        followed = np.zeros((len(draws), 0))
        for x, y in _batches(sample.x, sample.y, len(draws)):
            each = self._each(defence, x, y)
            parts.append(_Part.of(each, counts))
            gram += each.reshape(len(draws), -1) @ each.reshape(len(draws), -1).T
            followed = _with_coordinates(followed, each, len(x) / len(sample.y))
        known = bool(independence(predictive)) or len(draws) == 1
        chains = [draw // predictive.per_chain for draw in draws]
        return {
            "index": sample.index,
            "count": np.array(counts),
            "norm": np.concatenate([part.norm for part in parts]),
            "square": np.concatenate([part.square for part in parts]),
            "zero": np.concatenate([part.zero for part in parts]),
            "gram": gram / len(sample.y),
            "draws": len(draws),
            "effective": float(len(draws)) if known else averaging.effective_draws(followed, chains),
        }

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        draws, square, average = values["draws"], values["square"], values["norm"][:, -1]
        effective = values["effective"] or float(draws)
        middle = low = high = None
        if effective > 1:
            each = averaging.plateau(average**2, square, effective)
            middle = float(each.mean())
            if draws >= 3:
                over_images = each.var() / len(each)
                half = Z * math.sqrt(averaging.error_over_draws(values["gram"], effective) ** 2 + over_images)
                low, high = middle - half, middle + half
        return {
            "images": len(square),
            "draws": draws,
            "effective_draws": values["effective"],
            "gradient_norm": float(average.mean()),
            "gradient_null": float(np.sqrt(square / effective).mean()),
            "single_norm": float(np.sqrt(square).mean()),
            "plateau": middle,
            "plateau_low": low,
            "plateau_high": high,
            "zero_share": float(values["zero"].mean()),
        }

    def _each(self, defence: Defence, x: Tensor, y: Tensor) -> np.ndarray:
        """The gradient of each draw's own objective at images, (S, N, D) in float64."""
        objective: Objective = self.objective
        each = [defence.predictive.gradient(x, y, objective, [draw]).flatten(1) for draw in defence.defenders]
        return np.stack([one.double().numpy(force=True) for one in each])


@dataclass(frozen=True, eq=False)
class _Part:
    """What is kept of the gradients at some images."""

    norm: np.ndarray
    square: np.ndarray
    zero: np.ndarray

    @classmethod
    def of(cls, each: np.ndarray, counts: Sequence[int]) -> _Part:
        order = averaging.prefix_order(len(each))
        averages = [each[order[:count]].mean(0) for count in counts]
        norm = np.stack([np.linalg.norm(average, axis=-1) for average in averages], -1)
        return cls(norm, (each**2).sum(-1).mean(0), (averages[-1] == 0).all(-1))


def _batches(x: Tensor, y: Tensor, draws: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The images in batches whose gradients by all draws may be held at the same time."""
    size = max(1, HELD // (8 * draws * max(1, x[0].numel())))
    return zip(x.split(size), y.split(size), strict=True)


def _with_coordinates(followed: np.ndarray, each: np.ndarray, share: float) -> np.ndarray:
    """The coordinates (S, Q) that are followed, with some of the gradients (S, N, D) of a share of the images."""
    flat = each.reshape(len(each), -1)
    changing = np.flatnonzero(flat.std(0) > 0)
    wanted = min(len(changing), max(1, round(share * COORDINATES)))
    chosen = changing[np.arange(wanted) * len(changing) // max(1, wanted)]
    return np.concatenate([followed, flat[:, chosen]], 1)
