"""Networks of sequences, such as patches or rows of images, a few lines each, as people write them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from corpus import network
from torch import Tensor, nn


@network(1, 8, 8)
class VisionTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.cls = nn.Conv2d(1, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Parameter(torch.randn(1, 5, 8))
        self.norm, self.qkv, self.proj, self.head = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), dim=1) + self.position
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, n, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        attention = (q @ k.transpose(-2, -1) * (c // 2) ** -0.5).softmax(dim=-1)
        x = x + self.proj((attention @ v).transpose(1, 2).reshape(b, n, c))
        return self.head(x[:, 0])


@network(5, 8)
class ScaledDotProduct(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.head = nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.view(*part.shape[:2], 2, 4).transpose(1, 2) for part in self.qkv(x).split(8, dim=-1))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.head(out.transpose(1, 2).flatten(2)[:, -1, :])


@network(5, 8)
class MultiheadAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True, dropout=0.1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        h, _ = self.attention(h, h, h, need_weights=False)
        return self.head((x + h).mean(dim=1))


@network(5, 8)
class AttentionWithWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, 8))
        self.attention, self.head = nn.MultiheadAttention(8, 2, bias=False), nn.Linear(13, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(1, 0, 2)
        out, weights = self.attention(self.query.repeat(1, x.shape[1], 1), x, x)
        return self.head(torch.cat([out[0], weights[:, 0]], dim=-1))


@network(5, 8)
class TransformerEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x).mean(1))


@network(5, 4)
class CausalTransformerLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.TransformerEncoderLayer(4, 1, 8, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.triu(torch.full((x.size(1), x.size(1)), float("-inf")), diagonal=1)
        return self.head(self.layer(x, src_mask=mask)[:, -1])


@network(1, 6, 5)
class LongShortTermMemory(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(5, 4, num_layers=2, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out, (h, c) = self.lstm(x.squeeze(1))
        return self.fc(out[:, -1, :] + h[-1] * c[-1])


@network(6, 5)
class BidirectionalGru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.fc = nn.GRU(5, 4, bidirectional=True, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h0 = torch.zeros(2, x.size(0), 4)
        out, h = self.gru(x, h0)
        return self.fc(out.mean(1) + torch.cat([h[0], h[1]], dim=1))


@network(6, 5)
class ElmanNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.fc = nn.RNN(5, 4, nonlinearity="relu"), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x.transpose(0, 1))[1].squeeze(0))


@network(6, 5)
class CellsInALoop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru, self.fc = nn.LSTMCell(5, 4), nn.GRUCell(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h, c, g = (x.new_zeros(x.size(0), 4) for _ in range(3))
        for step in x.unbind(dim=1):
            h, c = self.lstm(step, (h, c))
            g = self.gru(h, g)
        return self.fc(g)


@network(5, 8)
class MaskedSelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(8, 8, bias=False) for _ in range(3))
        self.register_buffer("tril", torch.tril(torch.ones(5, 5)))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        _, t, c = x.shape
        scores = self.query(x) @ self.key(x).transpose(-2, -1) / math.sqrt(c)
        scores = scores.masked_fill(self.tril[:t, :t] == 0, float("-inf"))
        return self.head((F.softmax(scores, dim=-1) @ self.value(x))[:, -1])


@network(3, 8)
class TemporalConvolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(3, 3, 2, dilation=2**i) for i in range(2))
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        for i, conv in enumerate(self.convs):
            x = x + F.relu(conv(F.pad(x, (2**i, 0))))
        return self.fc(F.avg_pool1d(x, 2)[:, :, -1])


@network(5, 6)
class LinearAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.head = (nn.Linear(6, 6) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k = F.elu(self.q(x)) + 1, F.elu(self.k(x)) + 1
        state = torch.einsum("bnd,bne->bde", k, self.v(x))
        norm = 1 / torch.einsum("bnd,bd->bn", q, k.sum(dim=1))
        return self.head(torch.einsum("bnd,bde,bn->bne", q, state, norm).mean(dim=1))


@network(5, 6)
class RelativePositions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias, self.mix, self.head = nn.Embedding(9, 1), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        steps = torch.arange(x.shape[1])
        bias = self.bias(steps[:, None] - steps[None, :] + 4).squeeze(-1)
        weights = torch.softmax(torch.matmul(x, x.transpose(1, 2)) + bias, -1)
        top = torch.topk(x.sum(-1), 2, dim=1).indices
        picked = torch.gather(weights @ self.mix(x), 1, top.unsqueeze(-1).expand(-1, -1, 6))
        return self.head(picked.prod(1))
