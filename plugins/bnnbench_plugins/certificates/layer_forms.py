"""The layers, functions and tensor methods that have bounds, as tables: what each becomes as a step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnnbench import Incompatible
from bnnbench_plugins.certificates.activations import ELU, Curved, LeakyReLU, Sigmoid, Softplus, Tanh
from bnnbench_plugins.certificates.log_softmax import LogSoftmax
from bnnbench_plugins.certificates.max_pool import MaxPool
from bnnbench_plugins.certificates.steps import Convolution, Dense, Diagonal, Geometry, Reshape, Step

GELU_CURVATURE, SILU_CURVATURE = 0.8, 0.5
"""Bounds of the second derivatives: 2 phi(0) = 0.7979 for GELU, 1/2 for SiLU, both attained at 0."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where an operation stands: its source, the shapes before and after it, its name in messages, and the device.

    `last` says whether its values are the output of the network.
    """

    source: int
    before: torch.Size
    after: torch.Size
    name: str
    device: torch.device
    last: bool

    def refuse(self, what: str) -> Incompatible:
        """The error for an operation with arguments that have no bounds."""
        return Incompatible(f"no bounds of {self.name} with {what}")

    def need_channels(self) -> None:
        """Raise `Incompatible` unless the inputs are images with an axis of channels."""
        if len(self.before) != 3:
            raise self.refuse(f"inputs of shape (N, {', '.join(map(str, self.before))}), not (N, channels, H, W)")

    def of_channels(self, values: Tensor) -> Tensor:
        """A number for each channel (C,) as one for each coordinate of an input, (1, *shape)."""
        return values.reshape(1, -1, *[1] * (len(self.before) - 1)).expand(1, *self.before)


def _pair(value: Any) -> tuple[int, int]:
    rows, columns = (value, value) if isinstance(value, int) else value
    return int(rows), int(columns)


def _same(place: Place) -> Step:
    return Reshape(place.source, place.before, place.after)


def _log_softmax(place: Place, dim: int | None = None, *_: Any, dtype: Any = None, **__: Any) -> Step:
    if not place.last or len(place.before) != 1 or dim not in (None, 1, -1) or dtype is not None:
        raise place.refuse("another place than the end, another axis than the last, or a dtype")
    return LogSoftmax(place.source, place.before[0])


def _dropout(place: Place, p: float = 0.5, training: bool = False, inplace: bool = False) -> Step:
    if training:
        raise place.refuse("training=True")
    return _same(place)


def _leaky_relu(place: Place, negative_slope: float = 0.01, inplace: bool = False) -> Step:
    if not 0 <= negative_slope <= 1:
        raise place.refuse(f"a negative slope of {negative_slope:g}")
    return LeakyReLU(place.source, negative_slope)


def _elu(place: Place, alpha: float = 1.0, inplace: bool = False) -> Step:
    if alpha != 1:
        raise place.refuse(f"alpha={alpha:g}")
    return ELU(place.source)


def _gelu(place: Place, approximate: str = "none") -> Step:
    if approximate != "none":
        raise place.refuse(f"approximate={approximate}")
    return Curved(place.source, F.gelu, GELU_CURVATURE)


def _softplus(place: Place, beta: float = 1.0, threshold: float = 20.0) -> Step:
    if beta == 0 or not math.isfinite(beta):
        raise place.refuse(f"beta={beta:g}")
    if math.isnan(threshold) or threshold == -math.inf:
        raise place.refuse(f"threshold={threshold:g}")
    return Softplus(place.source, beta, threshold)


def _conv2d(
    place: Place,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Step:
    place.need_channels()
    if isinstance(padding, str):
        reach = [d * (side - 1) for d, side in zip(_pair(dilation), weight.shape[2:], strict=True)]
        if padding == "same" and any(one % 2 for one in reach):
            raise place.refuse("padding=same and a kernel of even size")
        padding = [one // 2 if padding == "same" else 0 for one in reach]
    geometry = Geometry(_pair(stride), _pair(padding), _pair(dilation), groups)
    return Convolution(place.source, weight, bias, geometry, place.before)


def _conv2d_layer(layer: nn.Conv2d, place: Place) -> Step:
    if layer.padding_mode != "zeros":
        raise place.refuse(f"padding_mode={layer.padding_mode}")
    return _conv2d(place, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def _max_pool(
    place: Place,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Step:
    place.need_channels()
    if ceil_mode or return_indices:
        raise place.refuse("ceil_mode" if ceil_mode else "return_indices")
    windows = {
        "kernel_size": _pair(kernel_size),
        "stride": _pair(kernel_size if stride is None else stride),
        "padding": _pair(padding),
        "dilation": _pair(dilation),
    }
    return MaxPool(place.source, windows)


def _average_pool(
    place: Place,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Step:
    place.need_channels()
    if ceil_mode or divisor_override is not None or (_pair(padding) != (0, 0) and not count_include_pad):
        raise place.refuse("ceil_mode, divisor_override or count_include_pad=False")
    rows, columns = _pair(kernel_size)
    channels = place.before[0]
    share = 1 / (rows * columns)
    weight = torch.full((channels, 1, rows, columns), share, dtype=torch.float64, device=place.device)
    geometry = Geometry(_pair(kernel_size if stride is None else stride), _pair(padding), (1, 1), channels)
    return Convolution(place.source, weight, None, geometry, place.before, enlarged=rows * columns)


def _adaptive_average_pool(place: Place, output_size: Any) -> Step:
    place.need_channels()
    before, after = place.before[1:], place.after[1:]
    if any(one % other for one, other in zip(before, after, strict=True)):
        raise place.refuse("windows of different sizes")
    return _average_pool(place, [one // other for one, other in zip(before, after, strict=True)])


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, place: Place) -> Step:
    if layer.running_mean is None or layer.running_var is None:
        raise place.refuse("track_running_stats=False")
    inverse = (layer.running_var.double() + layer.eps).rsqrt()
    scale, shift = inverse, torch.zeros_like(inverse)
    if layer.affine:
        scale, shift = inverse * layer.weight.double(), layer.bias.double()
    mean = layer.running_mean.double() * scale
    # Some kernels subtract the mean first, and others multiply by the weight last.
    factor = torch.maximum(inverse, scale.abs()).clamp(min=1)
    # The statistics go through about ten roundings until they are scale and shift.
    return Diagonal(
        place.source,
        place.of_channels(scale),
        place.of_channels(shift - mean),
        place.of_channels(shift.abs() + mean.abs()),
        (place.of_channels(factor), place.of_channels(factor * (1 + layer.running_mean.double().abs()) + shift.abs())),
        roundings=16,
    )


LAYERS: dict[type[nn.Module], Callable[[Any, Place], Step]] = {
    nn.Linear: lambda m, place: Dense(place.source, m.weight, m.bias),
    nn.Conv2d: _conv2d_layer,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.MaxPool2d: lambda m, place: _max_pool(
        place, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices
    ),
    nn.AvgPool2d: lambda m, place: _average_pool(
        place, m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad, m.divisor_override
    ),
    nn.AdaptiveAvgPool2d: lambda m, place: _adaptive_average_pool(place, m.output_size),
    **dict.fromkeys((nn.Flatten, nn.Unflatten, nn.Identity), lambda m, place: _same(place)),
    nn.Dropout: lambda m, place: _dropout(place, training=m.training),
    nn.Dropout2d: lambda m, place: _dropout(place, training=m.training),
    nn.ReLU: lambda m, place: _leaky_relu(place, 0.0),
    nn.LeakyReLU: lambda m, place: _leaky_relu(place, m.negative_slope),
    nn.ELU: lambda m, place: _elu(place, m.alpha),
    nn.GELU: lambda m, place: _gelu(place, m.approximate),
    nn.SiLU: lambda m, place: Curved(place.source, F.silu, SILU_CURVATURE),
    nn.Softplus: lambda m, place: _softplus(place, m.beta, m.threshold),
    nn.Tanh: lambda m, place: Tanh(place.source),
    nn.Sigmoid: lambda m, place: Sigmoid(place.source),
    nn.LogSoftmax: lambda m, place: _log_softmax(place, m.dim),
}
"""Layers by their exact class; torch.fx traces a subclass."""

_RESHAPING: tuple[Any, ...] = (
    *(torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze),
    *("flatten", "reshape", "squeeze", "unsqueeze", "view", "contiguous"),
)
FUNCTIONS: dict[Any, Callable[..., Step]] = {
    **dict.fromkeys(_RESHAPING, lambda place, *_, **__: _same(place)),
    F.linear: lambda place, weight, bias=None: Dense(place.source, weight, bias),
    F.conv2d: _conv2d,
    torch.conv2d: _conv2d,
    F.max_pool2d: _max_pool,
    F.avg_pool2d: _average_pool,
    F.adaptive_avg_pool2d: _adaptive_average_pool,
    F.dropout: _dropout,
    F.relu: lambda place, inplace=False: _leaky_relu(place, 0.0),
    torch.relu: lambda place: _leaky_relu(place, 0.0),
    F.leaky_relu: _leaky_relu,
    F.elu: _elu,
    F.gelu: _gelu,
    F.silu: lambda place, inplace=False: Curved(place.source, F.silu, SILU_CURVATURE),
    F.softplus: _softplus,
    torch.tanh: lambda place: Tanh(place.source),
    torch.sigmoid: lambda place: Sigmoid(place.source),
    F.log_softmax: lambda place, dim=None, _stacklevel=3, dtype=None: _log_softmax(place, dim, dtype=dtype),
    torch.log_softmax: _log_softmax,
    "relu": lambda place: _leaky_relu(place, 0.0),
    "tanh": lambda place: Tanh(place.source),
    "sigmoid": lambda place: Sigmoid(place.source),
    "log_softmax": _log_softmax,
}
"""Functions, and tensor methods by name: `form(place, ...)` with the arguments after the input."""
