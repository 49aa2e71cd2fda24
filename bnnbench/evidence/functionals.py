"""The functionals by which chains are judged: a fixed set, chosen by the shapes of data and network alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bnnbench.core import seeds
from bnnbench.core.dataset import Data
from bnnbench.core.predictive import Predictive
from bnnbench.measurements.sample import Sample, sample_of

if TYPE_CHECKING:
    from torch import Tensor

IMAGES = 50
"""The number of test images at which draws are evaluated."""
LARGEST = 1e30
"""The value that stands for a larger one, such as infinite log odds of a draw that is certain."""


@dataclass(frozen=True, eq=False)
class Functionals:
    """The functionals of each draw.

    Attributes:
        names: what each of them is, in the words of a message.
        values: (chains, draws, Q), float32.
    """

    names: list[str]
    values: NDArray[np.float32]


def functionals_of(predictive: Predictive, data: Data) -> Functionals:
    """The functionals of each draw of a predictive.

    - the log odds against the label at `IMAGES` test images. Its log-probability is a monotone function of them, so
      that ranks are the same, but rounds to 0 where a draw is certain
    - the derivative of the log odds in one coordinate of each of these images; absent if there is no gradient
    - means over these images: the log-probability of the label, and the entropy
    - the squared norm of each tensor of weights, which is its log prior up to constants

    Raises `ValueError` if the data have more classes than the predictive.
    """
    sample = sample_of(data, IMAGES)
    y = sample.y.to(predictive.device)
    coordinates = _coordinates(sample)
    rows, with_gradient = [], True
    for draw in range(len(predictive)):
        row, with_gradient = _of_draw(predictive, draw, sample, y, coordinates)
        rows.append(row)
    norms = dict(_squared_norms(predictive))
    values = np.column_stack([np.stack(rows), *norms.values()]).astype(np.float32)
    names = [f"the log odds at test image {place}" for place in sample.index]
    if with_gradient:
        names += [
            f"the gradient at test image {place}, input {coordinate}"
            for place, coordinate in zip(sample.index, coordinates, strict=True)
        ]
    names += ["the mean log-probability", "the mean entropy", *(f"the squared norm of {name}" for name in norms)]
    return Functionals(names, np.clip(values, -LARGEST, LARGEST).reshape(predictive.chains, predictive.per_chain, -1))


def _of_draw(
    predictive: Predictive, draw: int, sample: Sample, y: Tensor, coordinates: NDArray[np.int64]
) -> tuple[NDArray[np.float64], bool]:
    """The functionals of one draw that are about its predictions, and whether gradients are among them."""
    import torch

    from bnnbench.core.ensemble import maths

    x = sample.x.to(predictive.device, predictive.dtype).requires_grad_()
    logits = predictive.logits(x, [draw])[0]
    if y.max() >= logits.shape[-1]:
        raise ValueError(
            f"data have labels up to {int(y.max())}, but {predictive.described} has {logits.shape[-1]} classes"
        )
    odds = maths.log_odds_against(logits, y)
    parts = [odds.detach()]
    if logits.requires_grad:  # Some predictives give no gradient.
        (slope,) = torch.autograd.grad(odds.sum(), x)
        parts.append(slope.flatten(1)[np.arange(len(y)), coordinates])
    log_probs = logits.detach().log_softmax(-1)[None]
    parts.append(log_probs[0].gather(1, y[:, None]).mean()[None])
    parts.append(maths.mean_entropy(log_probs).mean()[None])
    return torch.cat(parts).cpu().numpy().astype(np.float64), logits.requires_grad


def _coordinates(sample: Sample) -> NDArray[np.int64]:
    """One coordinate of each image of a sample, by the shape of the images alone."""
    generator = np.random.default_rng(seeds.words(0, seeds.CARD)[0])
    return generator.integers(sample.x[0].numel(), size=IMAGES)[: len(sample.y)]


def _squared_norms(predictive: Predictive) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The squared norm of each floating tensor of weights, (S,), by its name.

    The draws of a predictive that does not run its network need not be weights; those have none.
    """
    if not predictive.runs_its_network:
        return
    for name, tensor in predictive.draws.items():
        if tensor.is_floating_point():
            norms = tensor.reshape(len(tensor), -1).norm(dim=1)
            yield name, norms.cpu().numpy().astype(np.float64) ** 2
