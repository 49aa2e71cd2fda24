"""Networks of images, a few lines each, as people write them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from corpus import network
from torch import Tensor, nn


@network(1, 12, 12)
class LeNetWithTanh(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(4, 6, 5)
        self.pool = nn.AvgPool2d(2, 2)
        self.fc = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.tanh(self.c1(x)))
        x = self.pool(torch.tanh(self.c2(x)))
        return self.fc(x.view(-1, 6))


@network(1, 10, 10)
class TorchMnistExample(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, 1), nn.Conv2d(4, 6, 3, 1)
        self.dropout1, self.dropout2 = nn.Dropout(0.25), nn.Dropout2d(0.5)
        self.fc1, self.fc2 = nn.Linear(54, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(self.dropout2(x)), dim=1)


@network(3, 8, 8)
class VggWithBatchNorm(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32, 3),
        )  # fmt: skip


@network(3, 8, 8)
class ResNetWithBatchNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.downsample = nn.Sequential(nn.Conv2d(3, 4, 1, stride=2, bias=False), nn.BatchNorm2d(4))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        identity = self.downsample(x)
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.fc(torch.flatten(self.avgpool(F.relu(out)), 1))


@network(3, 8, 8)
class PreactivatedResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.conv = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.GroupNorm(2, 8),
            nn.Conv2d(8, 8, 3, padding=1),
        )
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.conv(F.relu(self.norm(x)))
        return self.fc(F.avg_pool2d(x, x.size()[2:]).view(x.size(0), -1))


@network(3, 8, 8)
class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 + 4 * i, 4, 3, padding="same") for i in range(3))
        self.fc = nn.Linear(15, 3)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(F.relu(layer(torch.cat(features, 1))))
        return self.fc(torch.cat(features, 1).mean((2, 3)))


@network(3, 9, 9)
class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.three = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, (1, 3), padding=(0, 1))
        self.pool, self.fc = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), nn.Linear(7 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.one(x), self.three(x), self.pool(x)], 1)
        return self.fc(F.max_pool2d(x, 3, stride=2, padding=0).flatten(1))


@network(3, 9, 9)
class SqueezeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pool = nn.Conv2d(3, 4, 3), nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.squeeze, self.e1, self.e3 = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 3, padding=1)
        self.classifier = nn.Conv2d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(self.pool(F.relu(self.stem(x)))), inplace=True)
        x = self.classifier(torch.cat([F.relu(self.e1(x)), F.relu(self.e3(x))], dim=1))
        return F.adaptive_avg_pool2d(x, (1, 1)).squeeze(-1).squeeze(-1)


@network(3, 8, 8)
class MobileNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.expand, self.depthwise = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.squeeze, self.excite, self.project = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1), nn.Conv2d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu6(self.depthwise(F.hardswish(self.expand(x))))
        scale = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(h, 1))))
        return (x + self.project(h * F.hardsigmoid(scale))).mean([-1, -2])


@network(4, 6, 6)
class ShuffleNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.fc = nn.Conv2d(4, 6, 1, groups=2), nn.Conv2d(6, 6, 3, groups=2), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(x), 0.1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.fc(self.second(x).amax(dim=(2, 3)))


@network(1, 8, 8)
class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.inner = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.down(x))
        x = self.up(F.relu(self.inner(F.max_pool2d(skip, 2))))
        return self.out(torch.cat([skip, x], dim=1)).mean(dim=(-2, -1))
