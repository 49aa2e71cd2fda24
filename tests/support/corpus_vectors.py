"""Networks of vectors, a few lines each, as people write them."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from corpus import network
from torch import Tensor, nn


def stack(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@network(6)
class PerceptronWithLogSoftmax(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(F.relu(self.fc1(x)), p=0.3, training=self.training)
        return F.log_softmax(self.fc2(x), dim=-1)


@network(6)
class WeightsAsParameters(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1, self.b1 = nn.Parameter(torch.randn(6, 8) / 6**0.5), nn.Parameter(torch.zeros(8))
        self.w2 = nn.ParameterList([nn.Parameter(torch.randn(8, 4)), nn.Parameter(torch.randn(4, 3))])

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(torch.addmm(self.b1, x, self.w1))
        for w in self.w2:
            h = torch.mm(h, w)
        return h


@network(6)
class TiedAutoencoderWithHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.head = nn.Linear(6, 4, bias=False), nn.Linear(10, 3)
        self.shift = nn.Parameter(torch.zeros(6))
        self.again = nn.Linear(6, 4, bias=False)
        self.again.weight = self.encode.weight

    def forward(self, x: Tensor) -> Tensor:
        code = torch.sigmoid(self.encode(x))
        back = F.linear(code, self.again.weight.t(), self.shift)
        return self.head(torch.cat((code, back - x), dim=1))


@network(6)
class FourierFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(6, 5))
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        angle = 2 * math.pi * x @ self.frequencies
        return self.head(torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1))


@network(6)
class MixtureOfExperts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList([stack(6, 4, 3) for _ in range(3)])
        self.gate = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        gates = F.softmax(self.gate(x), dim=1).unsqueeze(-1)
        return (torch.stack([expert(x) for expert in self.experts], dim=1) * gates).sum(dim=1)


@network(6)
class MembersByEinsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.randn(3, 6, 5)), nn.Parameter(torch.randn(3, 5, 4))

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(torch.einsum("bi,mij->mbj", x, self.first))
        members = torch.bmm(hidden, self.second).log_softmax(-1)
        return torch.logsumexp(members, dim=0) - math.log(3)


@network(6)
class GatedLinearUnits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 8), nn.Linear(4, 8), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.first(x).chunk(2, dim=-1)
        return self.head(F.glu(self.second(F.silu(gate) * value), dim=-1))


@network(6)
class RootMeanSquareNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(6, 8), nn.RMSNorm(8), nn.Linear(8, 3)
        self.gain = nn.Parameter(torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.gain * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.head(self.norm(self.first(x)))


@network(6)
class Maxout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pieces, self.head = nn.Linear(6, 12), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden, _ = self.pieces(x).view(x.size(0), 4, 3).max(dim=-1)
        return self.head(hidden)


@network(6)
class RadialBasisFunctions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.centres, self.log_width, self.head = (
            nn.Parameter(torch.rand(7, 6)),
            nn.Parameter(torch.zeros(7)),
            nn.Linear(7, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        squared = (x.unsqueeze(1) - self.centres[None, :, :]).pow(2).sum(-1)
        return self.head(torch.exp(-squared / (2 * self.log_width.exp() ** 2)))


@network(6)
class CosineClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.prototypes = stack(6, 8, 5), nn.Parameter(torch.randn(3, 5))
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        features, prototypes = F.normalize(self.body(x), dim=1), F.normalize(self.prototypes)
        return self.scale.exp().clamp(max=100.0) * features @ prototypes.t()


@network(6)
class DistancesToPrototypes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.prototypes = stack(6, 8, 5), nn.Parameter(torch.randn(3, 5))

    def forward(self, x: Tensor) -> Tensor:
        z = self.body(x)
        return -torch.cdist(z, self.prototypes) - torch.norm(z, dim=1, keepdim=True)


@network(6)
class Highway(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer, gate in zip(self.layers, self.gates, strict=True):
            t = torch.sigmoid(gate(x))
            x = t * F.elu(layer(x)) + (1 - t) * x
        return self.head(x)
