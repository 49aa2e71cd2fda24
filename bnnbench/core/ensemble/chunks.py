"""Cut a batch of images into chunks whose evaluation needs bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bnnbench.core.ensemble import batching
from bnnbench.core.ensemble.protocol import Ensemble

BUDGET = 24 * 2**20
"""Largest size in bytes of one chunk's activations and of the log-probabilities of all draws, on a CPU."""
BUDGET_ON_GPU = 2**29
"""The same on a GPU: in small chunks the starts of its kernels would take longer than their work."""
WORTH_HOLDING = 48
"""The smallest number of images for which fewer passes over the draws save more than small batches cost."""


class Chunk(NamedTuple):
    """Images that are evaluated together.

    Attributes:
        x: the images (n, *shape).
        start: the position of the first of them in the batch.
        blocks: the positions of the draws, cut into blocks that are evaluated together.
    """

    x: Tensor
    start: int
    blocks: list[list[int]]


def chunks(ensemble: Ensemble, x: Tensor, draws: Sequence[int], *, held: bool = False) -> Iterator[Chunk]:
    """The images x (N, *shape) in chunks of nearly equal size that fit the budget, with blocks of the draws.

    With `held`, the chunks are so small that the passes of all draws can be held at the same time, if that leaves
    batches of a useful size. The sizes depend on shapes and the kind of the device alone, so that results do not depend
    on the machine.
    """
    x = usable(x.to(ensemble.device, ensemble.dtype))
    footprint = batching.footprint(ensemble, x)
    # The values held in addition to the activations: gradients of the image, and a few copies of the log-probabilities.
    values = 3 * x[:1].numel() + 6 * len(draws) * footprint.classes
    largest = max(1, budget(x.device) // (footprint.activations + values * x.element_size()))
    if held and not can_be_held(ensemble, x[:largest], batching.blocks(ensemble, x[:largest], draws)):
        held_at_once = batching.largest_held(x.device) // (footprint.activations * max(1, len(draws)))
        largest = held_at_once if held_at_once >= WORTH_HOLDING else largest
    number = max(1, -(-len(x) // largest))
    start = 0
    for part in x.tensor_split(number):
        yield Chunk(part, start, batching.blocks(ensemble, part, draws))
        start += len(part)


def can_be_held(ensemble: Ensemble, x: Tensor, blocks: list[list[int]]) -> bool:
    """Whether the passes of all blocks of draws at images x may be held at the same time."""
    draws = sum(map(len, blocks))
    held = batching.footprint(ensemble, x).activations * len(x) * draws
    return len(blocks) == 1 or held <= batching.largest_held(x.device)


def budget(device: torch.device) -> int:
    """Largest size in bytes of what a chunk needs on a device."""
    return BUDGET if device.type == "cpu" else BUDGET_ON_GPU


def usable(tensor: Tensor) -> Tensor:
    """The tensor itself or, if it was made in inference mode, a copy: autograd refuses such tensors."""
    return tensor.clone() if tensor.is_inference() else tensor


def labelled_chunks(
    ensemble: Ensemble, x: Tensor, y: Tensor, draws: Sequence[int], *, held: bool = False
) -> Iterator[tuple[Chunk, Tensor]]:
    """The chunks of `chunks`, each with the labels (n,) of its images."""
    y = usable(y.to(ensemble.device))
    for chunk in chunks(ensemble, x, draws, held=held):
        yield chunk, y[chunk.start : chunk.start + len(chunk.x)]
