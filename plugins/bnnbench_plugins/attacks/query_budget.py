"""What attacks without gradients have in common: their queries for each image, and their random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Victim

FLOATS_AT_ONCE = 2**22
"""The largest number of floats in one block of random directions."""


def allowed_queries(victim: Victim, queries: int, x: Tensor) -> Tensor:
    """The number of queries (N,) for each image of x (N, *shape): `queries`, or fewer if the threat allows fewer."""
    import torch

    allowed = torch.full((len(x),), queries, dtype=torch.long, device=x.device)
    left = victim.queries_left
    # A query that could not be attributed to images leaves fractions.
    return allowed if left is None else allowed.minimum(left.floor().long().clamp(min=0).to(x.device))


def blocks(directions: int, x: Tensor) -> list[int]:
    """The sizes of the blocks in which a number of directions (N, *shape) each are drawn, so that memory is bounded."""
    largest = max(1, FLOATS_AT_ONCE // x.numel())
    full, rest = divmod(directions, largest)
    return [largest] * full + [rest] * (rest > 0)


def normal(shape: tuple[int, ...], x: Tensor, rng: torch.Generator) -> Tensor:
    """Standard normal numbers, drawn on the CPU, on x's device and of its dtype."""
    import torch

    # The dtype is explicit, because another default dtype would give other numbers.
    return torch.randn(shape, generator=rng, dtype=torch.float32, device="cpu").to(x)


def uniform(shape: tuple[int, ...], x: Tensor, rng: torch.Generator) -> Tensor:
    """Uniform numbers from 0 to 1, drawn on the CPU, on x's device and of its dtype."""
    import torch

    return torch.rand(shape, generator=rng, dtype=torch.float32, device="cpu").to(x)
