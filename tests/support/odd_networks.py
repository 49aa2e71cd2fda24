"""Networks that are hard to evaluate for several draws at once."""

from __future__ import annotations

from torch import Tensor, nn


class Branching(nn.Module):
    """Looks at its values, which no batched form can."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if self.layer.bias.sum().item() > -1e9 else x


class Recurrent(nn.Module):
    """Has no batched form over weights."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(1, 4, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x[..., None])[0][:, -1])  # type: ignore[no-any-return]


class Normalised(nn.Sequential):
    """Buffers, a layer that is idle in eval mode, and one weight used twice."""

    def __init__(self) -> None:
        shared = nn.Linear(5, 5)
        super().__init__(shared, nn.BatchNorm1d(5), nn.Dropout(0.5), shared, nn.GELU(), nn.Linear(5, 3))
