"""The interface through which the numerics see an ensemble of draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Footprint:
    """The cost of evaluating one draw at one image.

    Attributes:
        activations: memory in bytes for the outputs of layers, their gradients and temporary tensors.
        classes: the number K of logits.
        stackable: whether several draws can be evaluated in one batched call.
    """

    activations: int
    classes: int
    stackable: bool


class Ensemble(Protocol):
    """A fixed ensemble of S draws; `Predictive` is one."""

    network: nn.Module
    device: torch.device
    dtype: torch.dtype
    draws: dict[str, Tensor]
    shared: dict[str, Tensor]
    footprints: dict[tuple[int, ...], Footprint]

    def __len__(self) -> int: ...

    def logits(self, x: Tensor, draws: slice | Sequence[int] = ...) -> Tensor:
        """Logits (S, N, K) of the selected draws at inputs (N, *shape)."""

    def member(self, index: int) -> nn.Module:
        """The network with the weights of one draw."""

    @property
    def runs_its_network(self) -> bool:
        """Whether the logits are those of the network under each draw's weights."""

    @property
    def described(self) -> str:
        """The name of the ensemble in error messages."""
