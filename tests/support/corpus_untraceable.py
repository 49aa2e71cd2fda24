"""Networks that have no form in JAX, with what the message must name."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BranchOnValues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x) if x.mean() > 0 else -self.head(x)


class LoopUntilSmall(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        while x.abs().max().item() > 0.1:
            x = x / 2
        return self.head(x)


class ThroughNumpy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.from_numpy(x.numpy() ** 2))


class DropoutAlwaysOn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.head(x))


class RareFunction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(self.head(x))


class SelectedRows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x[x.sum(1) > 0])


UNTRACEABLE: dict[type[nn.Module], str] = {
    BranchOnValues: r"control flow depends on values, in line \d+ of corpus_untraceable.py: return self.head\(x\) if",
    LoopUntilSmall: r"control flow depends on values, in line \d+ of corpus_untraceable.py: while x.abs",
    ThroughNumpy: r"cannot follow Tensor.numpy",
    DropoutAlwaysOn: "draws random numbers in eval mode, as dropout does",
    RareFunction: "operation .*bessel_j0",
    SelectedRows: "operation index .* a mask selects",
}
"""Network -> what the reason names."""
