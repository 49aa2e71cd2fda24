"""Networks of images that resize, pad and mix them, as people write them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from corpus import network
from torch import Tensor, nn


@network(1, 6, 6)
class SuperResolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.shuffle, self.fc = nn.Conv2d(1, 8, 3, padding=1), nn.PixelShuffle(2), nn.Linear(2 * 9, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.shuffle(self.conv(x)) * F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.fc(F.adaptive_max_pool2d(x, 3).flatten(1))


@network(1, 7, 7)
class UpsampledPyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.up, self.fc = nn.Conv2d(1, 3, 3), nn.Upsample(size=(7, 7), mode="nearest"), nn.Linear(4 * 13, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, self.up(self.conv(x))], 1)
        pooled = [F.adaptive_avg_pool2d(x, size).flatten(1) for size in (3, 2)]
        return self.fc(torch.cat(pooled, 1))


@network(3, 8, 8)
class PaddedByReflection(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding=2, dilation=2, padding_mode="circular"), nn.ZeroPad2d((0, 1, 0, 1)),
            nn.MaxPool2d(3),
        )  # fmt: skip
        self.fc = nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.pad(self.body(x), (1, 0, 0, 0), mode="replicate")[..., :3].reshape(x.shape[0], 36))


@network(3, 6, 6)
class ConvNext(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(3, 3, 3, padding=1, groups=3), nn.LayerNorm(3, eps=1e-6)
        self.wide, self.narrow, self.gamma = nn.Linear(3, 8), nn.Linear(8, 3), nn.Parameter(0.1 * torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        out = self.gamma * self.narrow(F.gelu(self.wide(out)))
        return (x + out.permute(0, 3, 1, 2)).mean([2, 3])


@network(3, 8, 8)
class MlpMixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 6, 4, stride=4), nn.LayerNorm(6)
        self.tokens, self.channels, self.fc = nn.Linear(4, 4), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm(x).mT).transpose(-2, -1)
        return self.fc((x + F.gelu(self.channels(x), approximate="tanh")).mean(1))


@network(3, 8, 8)
class SpatialAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 1, 3, padding=1, bias=False), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        summary = torch.cat([torch.mean(x, dim=1, keepdim=True), torch.max(x, dim=1, keepdim=True)[0]], dim=1)
        return self.fc((x * torch.sigmoid(self.conv(summary))).sum((2, 3)) / (x.shape[-1] * x.shape[-2]))


@network(1, 8, 8)
class CoordinateConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        rows = torch.linspace(-1, 1, h).view(1, 1, h, 1).expand(b, 1, h, w)
        columns = torch.linspace(-1, 1, w).repeat(b, 1, h, 1)
        return self.fc(F.softplus(self.conv(torch.cat([x, rows, columns], 1))).mean(-1).mean(-1))


@network(2, 8, 8)
class BlurredPooling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        kernel = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", (kernel[:, None] * kernel[None, :] / 16).expand(4, 1, 3, 3).clone())
        self.conv, self.fc = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(F.relu(self.conv(x)), self.kernel, stride=2, padding=1, groups=x.shape[1] * 2)
        return self.fc(x.flatten(2).std(-1) + F.lp_pool2d(x, 2, 4).flatten(1))


@network(1, 8, 8)
class SpaceToDepth(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(4, 4, 1), nn.Linear(4 * 9, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
        x = torch.roll(self.conv(x), shifts=1, dims=-1)
        return self.fc(F.unfold(x, 2).mean(1).repeat(1, 4)) - x.flip(2).sum((1, 2, 3))[:, None]


@network(1, 8, 8)
class RowsByConv1d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(8, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten())
        self.fc = nn.LazyLinear(3)
        self.fc(torch.zeros(1, 18))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(torch.squeeze(x, 1)))


@network(1, 4, 6, 6)
class VolumesByConv3d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv3d(1, 3, 3, padding=1), nn.BatchNorm3d(3), nn.ReLU(), nn.MaxPool3d(2))
        self.pool, self.fc = nn.AdaptiveAvgPool3d(1), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.body(x)).flatten(1))
