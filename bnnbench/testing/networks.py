"""Networks of canaries: each is broken in one way, or is hard for attacks in one way."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bnnbench.core.predictive import Predictive


class Scores(nn.Linear):
    """A linear classifier of two classes: the scores are minus and plus half of the margin."""

    def __init__(self, inputs: int) -> None:
        super().__init__(inputs, 2)


class Quantised(nn.Module):
    """A linear classifier of inputs that are rounded to a number of levels: its gradient is zero everywhere."""

    def __init__(self, inputs: int, levels: int = 20) -> None:
        super().__init__()
        self.levels, self.scores = levels, Scores(inputs)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.scores(torch.round(x * self.levels) / self.levels)
        return scores


class Wave(nn.Module):
    """A linear classifier of inputs that a fast wave of small amplitude is added to.

    The wave hardly changes the scores, and the sign of their gradient is that of the wave's.
    """

    def __init__(self, inputs: int, frequency: float = 2000.0) -> None:
        super().__init__()
        self.frequency, self.scores = frequency, Scores(inputs)
        self.amplitude = nn.Parameter(torch.zeros(()))
        self.phase = nn.Parameter(torch.zeros(inputs))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.scores(x + self.amplitude * torch.sin(self.frequency * x + self.phase))
        return scores


class Hiding(nn.Module):
    """A linear classifier whose features are its margin, and its inputs, rounded: only the first has a gradient.

    The last layer ignores the rounded inputs. Any other last layer, such as a planted detector, could use them.
    """

    def __init__(self, inputs: int, levels: int = 1000) -> None:
        super().__init__()
        self.levels, self.margin, self.scores = levels, nn.Linear(inputs, 1), Scores(1 + inputs)

    def forward(self, x: Tensor) -> Tensor:
        features = torch.cat([self.margin(x), torch.round(x * self.levels) / self.levels], 1)
        scores: Tensor = self.scores(features)
        return scores


class Bands(nn.Module):
    """Two classes in bands that alternate along the only input, each half a period wide."""

    def __init__(self, period: float = 0.2) -> None:
        super().__init__()
        self.period = period
        self.scale = nn.Parameter(torch.tensor(5.0))

    def forward(self, x: Tensor) -> Tensor:
        margin = self.scale * torch.cos(2 * math.pi * x[:, 0] / self.period)
        return torch.stack([margin, -margin], 1) / 2


class Rugged(nn.Module):
    """A margin of one input with a minimum every 0.04, of which one in five is negative."""

    def __init__(self) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.tensor(1.4))

    def forward(self, x: Tensor) -> Tensor:
        turns = 2 * math.pi * x[:, 0]
        margin = self.height + torch.cos(turns / 0.04) + 0.5 * torch.cos(turns / 0.23)
        return torch.stack([margin, -margin], 1) / 2


class Noisy(nn.Module):
    """A linear classifier that adds noise to its scores at each call, in eval mode too."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.scores = Scores(inputs)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)
        return scores + torch.randn_like(scores)


class ProbabilitiesAsLogits(Predictive):
    """A predictive whose `logits` are the softmax of its network's outputs."""

    def logits(self, x: Tensor, draws: slice | list[int] = slice(None)) -> Tensor:  # type: ignore[override]
        return super().logits(x, draws).softmax(-1)
