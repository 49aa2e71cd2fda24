"""Small networks of the kinds that people write, by name: `NETWORKS[name]` is a class and the shape of its inputs.

The classes are in the other files `corpus_*`, of which those of `corpus_untraceable` have no form in JAX.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

NETWORKS: dict[str, tuple[type[nn.Module], tuple[int, ...]]] = {}


def network(*shape: int) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """A decorator that enters a network for inputs of this shape."""

    def enter(cls: type[nn.Module]) -> type[nn.Module]:
        NETWORKS[cls.__name__] = (cls, shape)
        return cls

    return enter


def made(cls: type[nn.Module]) -> nn.Module:
    """A network with random weights and, where they are numbers that eval mode uses, random buffers."""
    torch.manual_seed(0)
    module = cls()
    for weight in module.parameters():
        weight.data += 0.05 * torch.randn_like(weight)  # no weight is exactly 0 or 1
    for part in module.modules():
        if isinstance(getattr(part, "running_var", None), torch.Tensor):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 1.5)
    return module.eval()
