"""Sums and products as steps of bounds: of a layer with constants, such as the normalisation of inputs, and of two
layers."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from bnnbench_plugins.certificates.layer_forms import Place
from bnnbench_plugins.certificates.steps import Diagonal, Step, Sum

ARITHMETIC: dict[Any, str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    torch.add: "+",
    torch.sub: "-",
    torch.mul: "*",
    torch.div: "/",
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
}
"""Operations of two values."""
ROUNDINGS = 4
"""Roundings of one operation; the conversion of a constant to the type of the values is one of them."""


def arithmetic(
    node: fx.Node,
    place: Place,
    places: Mapping[fx.Node, int],
    arguments: Sequence[Any],
    keywords: Mapping[str, Any],
) -> Step:
    """The step of an operation; those of its arguments that depend on the input are nodes that have a place.

    Raises `Incompatible` for products of two layers, division by a layer, and constants that change the shape. Two
    layers that are added have one shape.
    """
    operation, operands = ARITHMETIC[node.target], [*arguments, *keywords.values()]
    if len(operands) != 2 or set(keywords) - {"other"}:
        raise place.refuse("these arguments")
    first, second = operands
    if isinstance(first, fx.Node) and isinstance(second, fx.Node):
        if operation not in ("+", "-"):
            raise place.refuse("two layers, other than the sum or difference of layers of one shape")
        return Sum(places[first], places[second], 1 if operation == "+" else -1)
    leads = isinstance(first, fx.Node)
    constant = _expanded(second if leads else first, place)
    one, zero = torch.ones_like(constant), torch.zeros_like(constant)
    if operation == "/" and not leads:
        raise place.refuse("a layer as divisor")
    scale, shift = {
        "+": (one, constant),
        "-": (one, -constant) if leads else (-one, constant),
        "*": (constant, zero),
        "/": (1 / constant, zero),
    }[operation]
    return Diagonal(place.source, scale, shift, zero, (scale.abs(), scale.abs() + constant.abs()), ROUNDINGS)


def _expanded(constant: Any, place: Place) -> Tensor:
    """A constant as a tensor (1, *shape) in float64."""
    # A number of Python is in float64 as it is: its conversion to float32 is one of the roundings.
    value = torch.as_tensor(constant, dtype=torch.float64, device=place.device)
    if place.before == place.after and value.ndim <= len(place.after) + 1:
        try:
            return value.expand(1, *place.after)
        except RuntimeError:
            pass
    raise place.refuse("a constant of this shape")
