"""The architecture of plain fully connected networks."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from bnnbench import Incompatible
from bnnbench.authoring import described_node, refuse_hooks, traced

SLOPE = 0.01
"""The slope of torch's leaky relu below zero, if none is given."""
_ACTIVATIONS: dict[str, tuple[Any, ...]] = {
    "relu": (nn.ReLU, torch.relu, functional.relu, "relu"),
    "leaky-relu": (nn.LeakyReLU, functional.leaky_relu),
    "tanh": (nn.Tanh, torch.tanh, functional.tanh, "tanh"),
    "sigmoid": (nn.Sigmoid, torch.sigmoid, functional.sigmoid, "sigmoid"),
}
"""The layers, functions and methods of each activation."""
_SAME_VALUES = (nn.Flatten, nn.Identity, torch.flatten, "flatten", "view", "reshape", "contiguous")
"""Layers, functions and methods that change the shape of their input alone."""
_OF_SHAPES = ("size", getattr, operator.getitem)
"""Functions and methods of shapes, which networks that flatten their input call."""


@dataclass(frozen=True)
class Architecture:
    """What the limit of wide networks takes from a fully connected network.

    Attributes:
        hidden_layers: the number of hidden layers.
        activation: the name of the activation after each of them.
        slope: the slope of `leaky-relu` below zero.
    """

    hidden_layers: int
    activation: str
    slope: float = SLOPE


def architecture_of(network: nn.Module) -> Architecture:
    """The architecture of a plain fully connected network: linear layers with biases, with one activation between them.

    Raises `Incompatible`, which describes the first operation that does not belong there, for any other network.
    """
    refuse_hooks(network)
    graph = traced(network, lambda module: False)
    seen: list[Any] = []
    activations: list[tuple[str, float]] = []
    for node, operation, layer in _operations(graph):
        after_linear = len(seen) > len(activations)
        activation = _activation(node, operation, layer)
        if isinstance(layer, nn.Linear) and not after_linear and node.target not in seen:
            if layer.bias is None:
                raise Incompatible(f"no bias in {described_node(node, layer)}")
            seen.append(node.target)
        elif activation is not None and after_linear and activation == [*activations, activation][0]:
            activations.append(activation)
        else:
            raise Incompatible(f"{described_node(node, layer)} after {len(seen)} linear layers")
    if len(seen) != len(activations) + 1 or not activations:
        raise Incompatible("no hidden layers before a last linear layer")
    return Architecture(len(activations), *activations[0])


def _operations(graph: fx.GraphModule) -> Iterator[tuple[fx.Node, Any, nn.Module | None]]:
    """The operations of a graph on values: the node, what is called, and the layer if it is one.

    Raises `Incompatible` for an operation that takes other values than the result of the one before.
    """
    before: fx.Node | None = None
    for node in graph.graph.nodes:
        layer = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        operation = type(layer) if layer is not None else node.target
        if node.op in ("placeholder", "output") or operation in _OF_SHAPES:
            before = node if before is None else before
            continue
        values = [given for given in node.all_input_nodes if given.target not in _OF_SHAPES]
        if values != [before]:
            raise Incompatible(f"{described_node(node, layer)} of several values")
        before = node
        if operation not in _SAME_VALUES:
            yield node, operation, layer


def _activation(node: fx.Node, operation: Any, layer: nn.Module | None) -> tuple[str, float] | None:
    """The name and the slope of an activation; None for any other operation."""
    name = next((name for name, forms in _ACTIVATIONS.items() if operation in forms), None)
    if name is None:
        return None
    if isinstance(layer, nn.LeakyReLU):
        return name, layer.negative_slope
    given = node.args[1] if len(node.args) > 1 else node.kwargs.get("negative_slope", SLOPE)
    return name, float(given) if name == "leaky-relu" and isinstance(given, int | float) else SLOPE
