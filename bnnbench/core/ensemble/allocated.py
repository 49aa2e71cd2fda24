"""The memory that torch's operations allocate in a call, whether they keep it or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from bnnbench.core.ensemble.watched import Watch


def for_another_image(call: Callable[[Tensor], object], images: Tensor) -> int:
    """The bytes that torch's operations allocate in a call with two images, in excess of those with one.

    What the weights alone need falls out. What each step of a recurrent layer makes is counted.
    """
    with torch.enable_grad(), _Sum() as one:
        call(images[:1])
    with torch.enable_grad(), _Sum() as two:
        call(images[:2])
    return two.bytes - one.bytes


class _Sum(Watch):
    """Adds up the storages of results that no argument has."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = _storages((args, kwargs))
        results = func(*args, **(kwargs or {}))
        self.bytes += sum(size for place, size in _storages(results).items() if place not in given)
        return results


def _storages(values: Any) -> dict[int, int]:
    """The size in bytes of each storage of the tensors among some values, by its place in memory."""
    tensors = [value for value in tree_leaves(values) if isinstance(value, Tensor) and value.layout == torch.strided]
    return {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
