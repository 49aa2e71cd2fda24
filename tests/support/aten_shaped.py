"""ATen operations that arrange, write, pool, resize and convolve, by name: functions and the shapes of their inputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

INDEX = torch.tensor([[2, 0, 1], [1, 1, 0]])
WEIGHT = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(3))
"""A plain tensor, neither parameter nor buffer."""


def written_in_place(x: Tensor) -> Tensor:
    """Values that are overwritten through other names of them."""
    y = x * 2
    rows, part = y[1:], y.view(-1, 2)
    rows += 1
    part[:, 0] *= 3
    y[:, 1:3].copy_(x[:, :2])
    y[x > 0.5] = 0.25
    return y.add_(x).clamp_(-2, 2)


def joined(*parts: Tensor) -> Tensor:
    """Several results as one, row by row."""
    return torch.cat([part.flatten(1) for part in parts], 1)


AT_RANDOM: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "sorted": (lambda x: x.sort(1).values + x.sort(-1, True)[0] * x.argsort(1) + x.sort(stable=True)[0], (3, 4)),
    "top": (
        lambda x: joined(x.topk(2, 1).values, x.topk(2, 1, largest=False).values, x.topk(2, dim=1).indices * x.sum()),
        (3, 4),
    ),
    "shapes": (
        lambda x: joined(x.unflatten(-1, (2, 2)).movedim(1, -1), x.T.t(), x.view_as(x).clone(), x.swapaxes(0, 1).mT),
        (3, 4),
    ),
    "squeezing": (
        lambda x: x[:, None].squeeze() + x[..., None].squeeze(-1) + x.unsqueeze(1).squeeze((1, 2)) + x.squeeze(0),
        (3, 4),
    ),
    "repeated": (
        lambda x: joined(x.repeat(1, 3), x.repeat_interleave(2, 1), torch.tile(x, (2, 1))[:3], x.expand(2, -1, 4)[1]),
        (3, 4),
    ),
    "parts": (
        lambda x: joined(
            *x.split([1, 3], 1), *x.chunk(2, -1), *torch.tensor_split(x, 3, 1), torch.stack(x.unbind(1), 1)
        ),
        (3, 4),
    ),
    "selected": (
        lambda x: joined(
            x[:, [0, 2, 1, 3]], x[INDEX[0]], x.index_select(1, INDEX[0]), x[::2][[0, 0, 1]], x.select(1, -1)[:, None]
        ),
        (3, 4),
    ),
    "gathered": (lambda x: x.gather(1, INDEX) + torch.take_along_dim(x[:2], INDEX, 1), (3, 4)),
    "scattered": (
        lambda x: joined(
            x.scatter(1, INDEX, 0.5), x.scatter(1, INDEX[:1], 2 * x[:1, :3]), x.scatter_add(1, INDEX, x[:2, :3])
        ),
        (3, 4),
    ),
    "written": (
        lambda x: joined(
            x.index_put((INDEX[0], INDEX[1]), x[0, 0]),
            x.index_put((INDEX[1],), x, accumulate=True),
            x.index_fill(1, INDEX[0], 0.0),
        ),
        (3, 4),
    ),
    "triangles": (
        lambda x: x.tril() + x.triu(1) + torch.eye(4) * x + x.diagonal().sum() + torch.diag_embed(x.diagonal(1)).sum(),
        (4, 4),
    ),
    "made": (
        lambda x: (
            x
            + torch.ones_like(x) * x.new_full((4,), 2.0)
            + torch.zeros(len(x), 4)
            + torch.arange(4) / torch.tensor([1.0, 2.0, 3.0, 4.0])
        ),
        (3, 4),
    ),
    "made by others": (
        lambda x: (
            x + torch.linspace(0, 1, 4) + torch.empty_like(x).fill_(1.0) + torch.empty(4).zero_() + torch.full((4,), 2)
        ),
        (3, 4),
    ),
    "moved": (lambda x: x.roll((1, 2), (0, 1)) + x.flip(0, 1) + torch.rot90(x, 2), (3, 4)),
    "written in place": (lambda x: written_in_place(x), (3, 4)),
    "padded": (
        lambda x: F.pad(
            F.pad(F.pad(F.pad(x, (1, -1, 2, 0), value=0.5), (1, 2), "reflect"), (2, 1), "circular"), (1, 1), "replicate"
        ),
        (2, 4, 4),
    ),
    "windows": (
        lambda x: joined(
            x.unfold(3, 2, 2),
            F.unfold(x, 2, stride=2),
            F.pixel_unshuffle(x, 2),
            F.pixel_shuffle(x.repeat(1, 2, 1, 1), 2),
        ),
        (3, 2, 4, 4),
    ),
    "averages": (
        lambda x: joined(
            F.avg_pool2d(x, 3, 2, 1, True),
            F.avg_pool2d(x, 3, 2, 1, True, False),
            F.avg_pool2d(x, 3, 2, 1, divisor_override=5),
        ),
        (3, 2, 6, 5),
    ),
    "averages of lines": (
        lambda x: F.avg_pool1d(x, 3, 2, ceil_mode=True) + F.adaptive_avg_pool1d(x, 4) + F.adaptive_max_pool1d(x, 4),
        (3, 2, 8),
    ),
    "maxima": (
        lambda x: joined(
            F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
            F.max_pool2d(x, (2, 3), (2, 1), dilation=(2, 1)),
            F.adaptive_max_pool2d(x, (4, 3)),
        ),
        (3, 2, 7, 6),
    ),
    "maxima of lines": (lambda x: F.max_pool1d(x, 3, 2, 1), (3, 2, 8)),
    "of volumes": (
        lambda x: joined(
            F.avg_pool3d(x, 2), F.max_pool3d(x, 2), F.adaptive_avg_pool3d(x, 3), F.adaptive_max_pool3d(x, 2)
        ),
        (3, 2, 4, 5, 4),
    ),
    "resized": (
        lambda x: sum(
            F.interpolate(x, (7, 3), mode=mode) for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
        ),
        (3, 2, 4, 5),
    ),
    "scaled": (
        lambda x: (
            F.interpolate(x, scale_factor=1.7, mode="bilinear")
            + F.interpolate(x, scale_factor=1.7)
            + F.interpolate(x, (6, 8), mode="bilinear", align_corners=True)
        ),
        (3, 2, 4, 5),
    ),
    "lines resized": (
        lambda x: (
            F.interpolate(x, 7, mode="linear")
            + F.interpolate(x[..., None, None], (7, 1, 1), mode="trilinear").flatten(2)
        ),
        (3, 2, 4),
    ),
    "transposed lines": (
        lambda x: F.conv_transpose1d(x, WEIGHT[..., 0], stride=2, padding=1, output_padding=1, groups=2),
        (3, 4, 5),
    ),
    "transposed images": (
        lambda x: F.conv_transpose2d(x, WEIGHT, WEIGHT[0, :2, 0, 0], stride=(2, 1), dilation=(1, 2)),
        (3, 4, 5, 4),
    ),
    "convolved volumes": (
        lambda x: F.conv3d(x, WEIGHT[..., None], dilation=(2, 1, 1), padding=(1, 1, 0)),
        (3, 2, 5, 4, 2),
    ),
    "normalised": (
        lambda x: (
            F.layer_norm(x, (4,))
            + F.group_norm(x, 2, WEIGHT[:, 0, 0, 0])
            + F.instance_norm(x)
            + F.local_response_norm(x, 2)
        ),
        (3, 4, 4),
    ),
    "attended": (
        lambda x: (
            F.scaled_dot_product_attention(x, x, x, torch.ones(4, 4).tril().bool())
            + F.scaled_dot_product_attention(x, x, x, torch.eye(4), scale=0.3)
        ),
        (2, 4, 3),
    ),
    "einsum": (
        lambda x: (
            torch.einsum("bij,bkj->bik", x, x)
            + torch.tensordot(x, x[0], ([1], [0]))
            + torch.einsum("bii->b", x)[:, None, None]
        ),
        (2, 4, 4),
    ),
    "embedded": (
        lambda x: F.embedding((x * 0).long() + INDEX[:, :2], WEIGHT[:, 0, 0], padding_idx=1).sum(-1) * x,
        (2, 2),
    ),
    "randomised rectifier": (
        lambda x: F.rrelu(x) + F.prelu(x, torch.tensor([0.3])) + F.glu(x.repeat(1, 2)) + F.gelu(x, approximate="tanh"),
        (3, 4),
    ),
}
