"""Networks of vectors that use many functions of torch, as people write them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from corpus import network
from corpus_vectors import stack
from torch import Tensor, nn
from torch.nn.utils import parametrizations


@network(6)
class OneLogitAsTwo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = stack(6, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.body(x).squeeze(-1)
        return torch.stack([torch.zeros_like(z), z], dim=1)


@network(6)
class OrdinalThresholds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.steps = stack(6, 8, 1), nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        below = torch.sigmoid(torch.cumsum(F.softplus(self.steps), dim=0) - self.body(x))
        edges = torch.cat([torch.zeros_like(below[:, :1]), below, torch.ones_like(below[:, :1])], dim=1)
        return (edges[:, 1:] - edges[:, :-1]).clamp_min(1e-6).log()


@network(6)
class PolynomialFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(43, 3)
        self.bilinear = nn.Bilinear(6, 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        pairs = torch.einsum("ni,nj->nij", x, x).flatten(1)
        return self.head(torch.cat([x.new_ones(x.shape[0], 1), pairs, x], dim=1)) + self.bilinear(x, x)


@network(6)
class ManyActivations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        kinds = [
            nn.SELU(),
            nn.CELU(1.3),
            nn.Mish(),
            nn.Hardswish(),
            nn.Softsign(),
            nn.ReLU6(),
            nn.PReLU(),
            nn.Hardtanh(),
        ]
        kinds += [
            nn.Hardsigmoid(),
            nn.LogSigmoid(),
            nn.Tanhshrink(),
            nn.Softshrink(0.1),
            nn.RReLU(),
            nn.Threshold(0.1, 0.0),
        ]
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), kind) for kind in kinds)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x)


@network(6)
class StandardisedInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.SiLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - x.mean(dim=1, keepdim=True)) / (x.std(dim=1, keepdim=True) + 1e-5)
        return self.body(x) / torch.sqrt(x.var(1, unbiased=False, keepdim=True) + 1.0)


@network(6)
class EmbeddedBins(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(10, 4), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        bins = (x.abs() * 5).long().clamp(0, 9)
        return self.head(self.embed(bins).reshape(x.shape[0], -1))


@network(6)
class DeepSets(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.phi, self.rho = stack(1, 8, 5), stack(15, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.phi(x.unsqueeze(-1))
        return self.rho(torch.cat([parts.mean(dim=1), parts.amax(dim=1), parts.min(dim=1).values], dim=-1))


@network(6)
class InPlaceOperations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        same = x
        x += torch.tanh(x)
        x[:, 0] = 0.5
        same.mul_(2.0)
        return self.head(F.relu_(x))


@network(6)
class LoopOverFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.step, self.head = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        assert x.dim() == 2, "a batch of vectors"
        h = torch.zeros(x.size(0), 4)
        for i in range(x.shape[1]):
            h = torch.tanh(self.step(torch.cat([h, x[:, i : i + 1]], 1)))
        return self.head(h.view(len(x), -1))


@network(6)
class NormalisedWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = parametrizations.weight_norm(nn.Linear(6, 8))
        self.last = parametrizations.spectral_norm(nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.leaky_relu(self.first(x)))


@network(6)
class MaskedMissingValues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fill, self.body = nn.Parameter(torch.randn(6)), stack(12, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        missing = (x < -0.5) | torch.isnan(x)
        x = torch.where(missing, self.fill, x).masked_fill(~missing & (x > 2), 2.0)
        return self.body(torch.cat([x, missing.float()], dim=-1))
