"""ATen operations that keep a shape or reduce it, by name, at kinks and at ties: functions of `GRID` and of `TIES`."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

GRID = torch.arange(-8, 8).reshape(4, 4) / 2
"""Numbers at which activations have their kinks, in order."""
TIES = torch.tensor([[1.0, 3.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0], [2.0, 1.0, 2.0, 2.0]])
"""Rows with several largest values, and one of zeros."""


def squared_without_gradient(x: Tensor) -> Tensor:
    """The squares, in a context without gradients."""
    with torch.no_grad():
        return x * x


AT_GRID: dict[str, Callable[[Tensor], Tensor]] = {
    "rectifiers": lambda x: torch.stack([F.relu(x), F.relu6(x), F.leaky_relu(x, 0.2), F.threshold(x, 0.5, 2.0)]),
    "hard activations": lambda x: torch.stack([F.hardtanh(x), F.hardsigmoid(x), F.hardtanh(x, -2, 3)]),
    "hardswish": lambda x: F.hardswish(x + 0.1),
    "shrinking": lambda x: torch.stack([F.softshrink(x), F.hardshrink(x), F.tanhshrink(x), F.softsign(x)]),
    "exponential activations": lambda x: torch.stack([F.elu(x), F.selu(x), F.celu(x, 0.7), F.mish(x), F.logsigmoid(x)]),
    "far from zero": lambda x: torch.stack(
        [f(50 * x) for f in (F.elu, F.celu, F.mish, F.softplus, F.logsigmoid, F.silu)]
    ),
    "clamps": lambda x: x.clamp(-1, 2) + x.clamp(min=0.5) * x.clamp_max(1) + x.clamp(max=x.detach() ** 2),
    "absolute values": lambda x: x.abs() + x * x.sign() + torch.maximum(x, -x) + torch.minimum(x, x * 2),
    "rounding": lambda x: x * (x.floor() + x.ceil() + x.round() + x.trunc() + x.sgn()),
    "remainders": lambda x: x.fmod(1.5) + torch.remainder(x, 1.5) + x * torch.floor_divide(x.detach(), 0.75),
    "divisions": lambda x: (
        x * torch.div(x, 0.7, rounding_mode="floor") + 3 / (x + 9) + 2.0 - x * x.div(0.7, rounding_mode="trunc")
    ),
    "integer division": lambda x: x * torch.div((2 * x).long(), 3, rounding_mode="trunc") + x * ((2 * x).int() // 3),
    "powers": lambda x: x**3.0 + x.pow(2) + (x + 9) ** 0.5 + 2.0**x + (x + 9) ** (x / 4),
    "comparisons": lambda x: (
        x * ((x > 0) & (x < 2) | (x == -1) ^ ~(x != 3)) + torch.where((x >= 1).logical_or(x <= -1), x, 0.5)
    ),
    "logic": lambda x: x * (x.bool().logical_and(x > 0).logical_not() + (x > 1).logical_xor(x < 3)),
    "finite or not": lambda x: torch.where(torch.isfinite(1 / x) & ~torch.isinf(x) & ~torch.isnan(x), x, 0.0),
    "logarithms": lambda x: (
        (x + 5).log() + (x + 5).log2() * (x + 5).log10() + torch.logaddexp(x, 2 * x) + (x + 5).log1p()
    ),
    "exponentials": lambda x: x.exp() + x.expm1() + x.exp2() + torch.reciprocal(x + 9) + (x + 9).rsqrt(),
    "trigonometry": lambda x: (
        x.sin() + x.cos() * (x / 9).tan() + (x / 9).asin() + (x / 9).acos() + x.atan() + torch.atan2(x + 9, x)
    ),
    "hyperbolic": lambda x: (
        x.sinh() / x.cosh() + x.asinh() + (x + 6).acosh() + (x / 9).atanh() + torch.hypot(x, x + 0.3)
    ),
    "special": lambda x: (
        x.erf() + x.erfc() + (x / 9).erfinv() + (x + 6).lgamma() + (x + 6).digamma() + (x + 9).square()
    ),
    "types": lambda x: x.to(torch.float64).float() + x.double().to(x) + x.type_as(x) * x.bool().float(),
    "detached": lambda x: x * x.detach() + x.data + x * torch.detach(x) + x * squared_without_gradient(x),
    "a number of a tensor": lambda x: x * x.max() + x[0, 0] - x.min(),
}
AT_TIES: dict[str, Callable[[Tensor], Tensor]] = {
    "largest": lambda x: torch.cat([x.max(1).values, x.amax(1), x.max()[None], x.amin((0, 1))[None], x.min(0)[0]]),
    "positions": lambda x: x[:, :1] * x.argmax(1, keepdim=True) + x * x.argmin() + x.max(1, keepdim=True).indices,
    "norms": lambda x: torch.stack([x.norm(dim=1), x.norm(1, 1), torch.linalg.vector_norm(x, 3, 1), x.abs().amax(1)]),
    "more norms": lambda x: F.normalize(x) + torch.linalg.vector_norm(x, torch.inf) + x.norm(0, 1, keepdim=True) * x,
    "distances": lambda x: (
        torch.cdist(x, x[:2]) + torch.cdist(x, x[1:] + 0.5, p=1) + torch.cdist(x, x[1:] - 0.5, p=3.0)
    ),
    "deviations": lambda x: torch.cat([x.var(1), x.var(0, unbiased=False), x.std()[None], torch.var_mean(x, 1)[1]]),
    "sums": lambda x: x.sum() + x.mean() * x.sum(1, keepdim=True) + x.mean((0, 1)) + x.sum(dtype=torch.float32, dim=[]),
    "truth values": lambda x: (
        x * (x > 0).any(1, keepdim=True) + x * (x > 0.5).all() + (x > 1).sum(0) * x + x * (x > 2).any()
    ),
    "cumulated": lambda x: x.cumsum(1) + (x + 1).cumprod(0) + (x + 1).prod() + (x + 1).prod(1, keepdim=True),
    "log-sums": lambda x: (
        x.logsumexp((0, 1)) + x.logsumexp(1, keepdim=True) + x.softmax(0) + F.log_softmax(x, -1) + F.softmin(x, 1)
    ),
    "products": lambda x: x @ x.t() @ x + torch.addmm(x[:, :3], x, x.t(), beta=0.5, alpha=2).sum() + x[0].dot(x[1]),
    "more products": lambda x: (
        torch.baddbmm(x[None], x[None, :, :3], x[None], beta=2) + torch.vdot(x[0], x[1]) * x.mv(x[0])[:, None]
    ),
}
