"""The base of modes that look at torch's operations as they run, and a look at what autograd keeps of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Watch(TorchDispatchMode):
    """The base of modes that look at every operation of the calling thread, higher-order ones too."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False, since torch would import its compiler, for a second, to keep it away from this class."""
        return False


def recorded(pack: Callable[[Tensor], Tensor]) -> AbstractContextManager[object]:
    """A context that calls `pack` on what autograd keeps; it does nothing inside of the transforms of `torch.func`."""
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, pack):
            pass
    except RuntimeError:
        return nullcontext()
    return torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
