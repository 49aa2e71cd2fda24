"""JAX forms of ATen operations agree with torch in values and gradients, at kinks and ties too."""

from __future__ import annotations

from collections.abc import Callable

import corpus_functions
import corpus_images
import corpus_resizing
import corpus_sequences
import corpus_vectors
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from corpus import NETWORKS, made
from jax_agreement import Call
from torch import Tensor, nn

from bnnbench.authoring.jax_aten import AtenNetwork
from bnnbench.authoring.jax_aten_tables import ATEN, name_of

assert all(
    (corpus_functions, corpus_images, corpus_resizing, corpus_sequences, corpus_vectors)
)  # they enter their networks

GRID = torch.arange(-8, 8).reshape(4, 4) / 2
"""Numbers at which activations have their kinks, in order."""
TIES = torch.tensor([[1.0, 3.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0], [2.0, 1.0, 2.0, 2.0]])
"""Rows with several largest values, and one of zeros."""
INDEX = torch.tensor([[2, 0, 1], [1, 1, 0]])
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
WEIGHT = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(3))
"""A plain tensor, neither parameter nor buffer."""


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


def squared_without_gradient(x: Tensor) -> Tensor:
    """The squares, in a context without gradients."""
    with torch.no_grad():
        return x * x


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


CASES: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    **{name: (function, GRID) for name, function in AT_GRID.items()},
    **{name: (function, TIES) for name, function in AT_TIES.items()},
    **{
        name: (function, torch.randn(shape, generator=torch.Generator().manual_seed(0)))
        for name, (function, shape) in AT_RANDOM.items()
    },
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_agree_with_torch(name: str) -> None:
    function, x = CASES[name]
    network = AtenNetwork(Call(function), tuple(x.shape), np.float32)
    given = x.clone().requires_grad_()
    expected = function(given)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (slope,) = torch.autograd.grad((expected * direction).sum(), given)

    def projected(at: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = network({}, at)
        return (values * direction.numpy()).sum(), values

    found_slope, found = jax.jit(jax.grad(projected, has_aux=True))(jnp.asarray(x.numpy()))
    for torch_value, jax_value in ((expected, found), (slope, found_slope)):
        reference = torch_value.detach().numpy()
        assert jax_value.shape == reference.shape
        assert jax_value.dtype == reference.dtype
        assert np.abs(np.asarray(jax_value) - reference).max() <= 2e-5 * max(1.0, np.abs(reference).max())


def operations(module: nn.Module, shape: tuple[int, ...]) -> set[str]:
    """The keys of the table that a network uses."""
    nodes = AtenNetwork(module, shape, np.float32)._traced.graph.nodes
    targets = [node.target for node in nodes if hasattr(node.target, "_schema")]
    return {
        key
        for key in ATEN
        for target in targets
        if key in (name_of(target), f"{name_of(target)}.{target._overloadname}")
    }


@pytest.mark.slow
def test_every_form_is_among_those_tested() -> None:
    tested = set()
    for function, x in CASES.values():
        tested |= operations(Call(function), tuple(x.shape))
    for cls, shape in NETWORKS.values():
        tested |= operations(made(cls), (4, *shape))
    # Other releases of torch record these in place of `native_batch_norm` and `rrelu_with_noise_functional`.
    others = {name for name in ATEN if name.startswith("_native_batch_norm_legit")} | {"rrelu_with_noise"}
    assert set(ATEN) - tested <= others
