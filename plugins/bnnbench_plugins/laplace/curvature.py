"""The curvature of a categorical likelihood in a network's weights: the generalised Gauss-Newton matrix.

For logits f(x, w) and p = softmax(f), it is

    GGN = sum_n J_n^T (diag(p_n) - p_n p_n^T) J_n,        J_n = df(x_n, w) / dw,

which is also the Fisher matrix, summed over all points. For a network that is linear in its weights it is the Hessian.
Since diag(p) - p p^T = S S^T with S = diag(sqrt p) - p sqrt(p)^T, it is the sum of the outer products of the rows
S_n^T J_n, which are gradients. It is therefore never negative, whatever the rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.func import functional_call, vjp, vmap
from torch.nn.functional import unfold

from bnnbench_plugins.torch.linear_layers import layer_uses

if TYPE_CHECKING:
    from torch import Tensor

HELD = 2**24
"""Largest number of floats of gradient rows, or of the inputs of a layer at all positions, that are held at once."""

Weights = Mapping[str, "Tensor"]


def full(network: nn.Module, weights: Weights, x: Tensor) -> Tensor:
    """The matrix (P, P) of some weights of the network at inputs x (N, *shape), in float64."""
    size = sum(weight.numel() for weight in weights.values())
    total = torch.zeros(size, size, dtype=torch.float64, device=x.device)
    for rows in _rows(network, weights, x):
        total.addmm_(rows.double().T, rows.double())
    return total


def diagonal(network: nn.Module, weights: Weights, x: Tensor) -> Tensor:
    """The diagonal (P,) of the matrix of some weights at inputs x (N, *shape), in float64."""
    total = torch.zeros(sum(weight.numel() for weight in weights.values()), dtype=torch.float64, device=x.device)
    for rows in _rows(network, weights, x):
        total += rows.double().square().sum(0)
    return total


def _rows(network: nn.Module, weights: Weights, x: Tensor) -> Iterator[Tensor]:
    """The rows S_n^T J_n of some weights (n * K, P), for some of the inputs after another."""

    def logits(given: dict[str, Tensor], point: Tensor) -> Tensor:
        return functional_call(network, given, (point[None],))[0]

    def of_point(point: Tensor) -> Tensor:
        values, pull = vjp(lambda given: logits(given, point), given)[:2]
        (rows,) = vmap(pull)(_root(values))
        return torch.cat([rows[name].flatten(1) for name in given], 1)

    given = {name: weight.detach() for name, weight in weights.items()}
    with torch.no_grad():  # `vjp` differentiates all the same; weights that are not given need no graph.
        size = network(x[:1]).shape[1] * sum(weight.numel() for weight in given.values())
        for points in x.split(max(1, HELD // size)):
            yield vmap(of_point)(points).flatten(0, 1)


def _root(logits: Tensor) -> Tensor:
    """S^T (..., K, K) of logits (..., K): its rows are the columns of S."""
    p = logits.softmax(-1)
    root = p.sqrt()
    return torch.diag_embed(root) - root[..., :, None] * p[..., None, :]


def kronecker_layers(network: nn.Module, x: Tensor) -> dict[str, nn.Module]:
    """The layers whose curvature has Kronecker factors, by name.

    They are the linear layers and ungrouped two-dimensional convolutions, padded with zeros, that are called once at
    inputs x and whose weights enter nothing else. Subclasses are left out, since they may compute something else.
    """
    names = {layer: name for name, layer in network.named_modules()}
    with torch.enable_grad():
        used = [use.layer for use in layer_uses(network, x) if use.once]
    return {names[layer]: layer for layer in used if _has_factors(layer)}


def _has_factors(layer: nn.Module) -> bool:
    if type(layer) is not nn.Conv2d:
        return type(layer) is nn.Linear
    return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def kronecker_factors(
    network: nn.Module, layers: Mapping[str, nn.Module], x: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """Factors (A, B) of each layer, in float64, so that A (x) B approximates its matrix at inputs x (Martens and
    Grosse 2015; of convolutions, Grosse and Martens 2016).

    With the inputs a_nt of the layer (and a one, if it has a bias) and the gradients g_ntk of its outputs, at the T
    positions of N inputs, A = sum_nt a a^T / (N T) and B = sum_ntk g g^T. For one input at one position this is exact.
    """
    if not layers:
        return {}
    first = _at_outputs(network, layers, x[:1])
    held = sum(inputs.numel() + sum(map(torch.numel, gradients)) for inputs, gradients in first.values())
    totals: dict[str, tuple[Any, Any, int]] = dict.fromkeys(layers, (0.0, 0.0, 0))
    for points in x.split(max(1, HELD // held)):
        for name, (inputs, gradients) in _at_outputs(network, layers, points).items():
            of_inputs, of_outputs, positions = totals[name]
            added = sum(one.T @ one for one in gradients)
            totals[name] = (of_inputs + inputs.T @ inputs, of_outputs + added, positions + len(inputs))
    return {name: (of_inputs / positions, of_outputs) for name, (of_inputs, of_outputs, positions) in totals.items()}


def _at_outputs(
    network: nn.Module, layers: Mapping[str, nn.Module], x: Tensor
) -> dict[str, tuple[Tensor, list[Tensor]]]:
    """Of each layer at inputs x, its inputs (N * T, inputs) and the K gradients of its outputs (N * T, outputs).

    The K gradients at one input are those of S_n^T f, as rows of the curvature are.
    """
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}

    def record(name: str) -> Any:
        def hook(layer: nn.Module, given: tuple[Tensor], output: Tensor) -> Tensor:
            inputs[name], outputs[name] = _columns(layer, given[0].detach()), output
            # An activation that acts in place must not change what is recorded.
            return output.clone()

        return hook

    hooks = [layer.register_forward_hook(record(name)) for name, layer in layers.items()]
    try:
        with torch.enable_grad():
            values = network(x)
    finally:
        for hook in hooks:
            hook.remove()
    gradients: dict[str, list[Tensor]] = {name: [] for name in layers}
    for cotangent in _root(values.detach()).unbind(1):
        slopes = torch.autograd.grad(values, list(outputs.values()), cotangent, retain_graph=True)
        for name, slope in zip(outputs, slopes, strict=True):
            rows = slope.flatten(2).transpose(1, 2) if slope.ndim == 4 else slope
            gradients[name].append(rows.flatten(0, -2).double())
    return {name: (inputs[name].double(), gradients[name]) for name in layers}


def _columns(layer: Any, given: Tensor) -> Tensor:
    """What the rows of a layer's weight matrix are multiplied with at each position (N * T, inputs), a one for the
    bias last."""
    if given.ndim == 4:  # Of a convolution.
        given = unfold(given, layer.kernel_size, layer.dilation, layer.padding, layer.stride).transpose(1, 2)
    given = given.flatten(0, -2)
    return given if layer.bias is None else torch.cat([given, torch.ones_like(given[:, :1])], 1)
