"""Checksums that show whether code which was lent tensors has changed them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

COLUMNS = 16381
"""The number of columns in which 64-bit words are summed. It is prime, so that the rows of a tensor do not fall on the
same columns, and so small that the sums stay in the processor's cache."""


def traces(tensors: Iterable[Tensor]) -> list[tuple[int, int]]:
    """For each tensor, torch's count of changes and a 64-bit checksum of its bits and of their places.

    Equal lists mean unchanged tensors: the count also notices a change that was undone, the checksum also notices a
    change that torch does not see, as through `tensor.data`. Inference tensors have no count, and 0 stands for it. The
    cost is small beside one pass of a network with these weights.
    """
    return [(_changes(tensor), _checksum(tensor)) for tensor in tensors]


class Unchanged:
    """Checks, time after time, that the tensors of some mappings have not changed since the check before.

    Each check takes one checksum. The one of the check before serves for comparison, unless a tensor was replaced or
    torch has counted a change in between, which is then not the fault of the code that is checked.
    """

    def __init__(self, *mappings: Mapping[str, Tensor]) -> None:
        self._mappings = mappings
        self._counts: list[tuple[int, int]] = []
        self._traces: list[tuple[int, int]] = []

    def begin(self) -> None:
        """Note the tensors as they are now."""
        if self._counts != self._counted():
            self._note()

    def holds(self) -> bool:
        """Whether the tensors are as they were at `begin`."""
        before = self._counts, self._traces
        self._note()
        return before == (self._counts, self._traces)

    def _note(self) -> None:
        self._counts, self._traces = self._counted(), traces(self._tensors())

    def _counted(self) -> list[tuple[int, int]]:
        return [(id(tensor), _changes(tensor)) for tensor in self._tensors()]

    def _tensors(self) -> list[Tensor]:
        return [tensor for mapping in self._mappings for tensor in mapping.values()]


def _changes(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


@functools.cache
def _factors(device: torch.device) -> Tensor:
    """An odd factor for each column, so that exchanging two words of different columns changes the sum."""
    import torch

    generator = torch.Generator().manual_seed(0)
    # On the generator's device, whatever the host's default device is.
    return (torch.randint(-(2**62), 2**62, (COLUMNS,), generator=generator, device="cpu") * 2 + 1).to(device)


def _checksum(tensor: Tensor) -> int:
    import torch

    every = tensor.detach().contiguous().view(-1).view(torch.uint8)
    if every.storage_offset() % 8:  # A view as words must start at one.
        every = every.clone()
    words, rest = every[: every.numel() // 8 * 8].view(torch.int64), every[every.numel() // 8 * 8 :]
    rows = words.numel() // COLUMNS
    # Sums of columns read the memory once, which takes half the time of a product with a factor for each word.
    columns = words[: rows * COLUMNS].view(rows, COLUMNS).sum(0)
    total, factors = 0, _factors(words.device)
    for number, part in enumerate((columns, words[rows * COLUMNS :], rest.to(torch.int64))):
        total += (2 * number + 1) * int((part * factors[: len(part)]).sum())
    return total % 2**64
