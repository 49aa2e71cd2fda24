"""Binary classifiers on the features of an ensemble, with a point of the other class planted on the surface of a ball.

Each draw gets a last layer of its own; the ensemble's prediction is the mean of the draws' probabilities, as ever. The
layers are those of a linear discriminant of all draws' features together, with a ridge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import nn

from bnnbench import Predictive

if TYPE_CHECKING:
    from torch import Tensor

RIDGE = 1e-2
"""What is added to the variances of features, relative to their sum.

With less, directions count in which the features hardly vary: on half moons, a tenth of that plants points behind kinks
where sound attacks miss a fifth of them.
"""
GAP = 1e-3
"""The least gap between the planted point and all others, relative to the former's distance from their mean."""


class Features:
    """The features of some draws of a predictive.

    They are the inputs of the last linear layer, if the output of the network is the output of such a layer, and the
    logits otherwise. `footprints` are the costs of readouts on them.
    """

    def __init__(self, predictive: Predictive, draws: Sequence[int], x: Tensor) -> None:
        self.predictive, self.draws = predictive, list(draws)
        self.layer = _last_layer(predictive, x[:1])
        self.footprints: dict[tuple[int, ...], Any] = {}

    def of(self, place: int, x: Tensor) -> Tensor:
        """The features (N, F) of one of the draws at inputs x (N, *shape), differentiable in x."""
        draw = self.draws[place]
        if self.layer is None:
            return self.predictive.logits(x, [draw])[0]
        kept: list[Tensor] = []
        layer = self.predictive.member(draw).get_submodule(self.layer)
        hook = layer.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0]))
        try:
            self.predictive.logits(x, [draw])
        finally:
            hook.remove()
        return kept[-1]


class Readout(Predictive):
    """The ensemble whose draws have last layers of two classes: `weight` (S, 2, F) and `bias` (S, 2)."""

    def __init__(self, features: Features, weight: np.ndarray, bias: np.ndarray) -> None:
        numbers = {"weight": weight, "bias": bias}
        dtype = np.float64 if features.predictive.dtype.itemsize == 8 else np.float32
        # Without the random initial weights of a new layer.
        layer = nn.utils.skip_init(nn.Linear, weight.shape[-1], 2)
        super().__init__(layer, {name: one.astype(dtype) for name, one in numbers.items()})
        self.network.to(features.predictive.device)
        self.device, self._features = features.predictive.device, features
        self.draws = {name: tensor.to(self.device) for name, tensor in self.draws.items()}
        self.footprints = features.footprints

    def logits(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        import torch

        x = x.to(self.device, self.dtype)
        weight, bias = self.draws["weight"], self.draws["bias"]
        each = [
            nn.functional.linear(self._features.of(place, x), weight[place], bias[place])
            for place in self.indices(draws)
        ]
        return torch.stack(each)


class Planted(NamedTuple):
    """A discriminant: the coefficients `alpha` of all points but the last, and the value above which the class is 1."""

    alpha: np.ndarray
    threshold: float


def planted(features: Features, points: Tensor, closeness: float) -> Readout | None:
    """A readout that gives the last of some points (n, *shape) the class 1 and all others the class 0; None if none is.

    The threshold lies between the planted point and the next one, the nearer to the planted point the larger
    `closeness`, in [0, 1), is.
    """
    gram = sum(centred @ centred.T for centred, _ in _centred(features, points))
    found = _discriminant(np.asarray(gram), closeness)
    return None if found is None else _readout(features, points, found)


def _centred(features: Features, points: Tensor) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each draw's features (n, F) at the points, less their mean (F,) over all points but the last; and that mean."""
    import torch

    for place in range(len(features.draws)):
        with torch.no_grad():
            each = features.of(place, points).double().numpy(force=True)
        middle = each[:-1].mean(0)
        yield each - middle, middle


def _discriminant(gram: np.ndarray, closeness: float) -> Planted | None:
    """The ridge discriminant by the products (n, n) of centred features; None if the last point is not separated."""
    inner, cross = gram[:-1, :-1], gram[:-1, -1]
    total = np.trace(inner)
    if total <= 0:
        return None
    alpha = np.linalg.solve(inner + RIDGE * total * np.eye(len(inner)), cross)
    point, others = gram[-1, -1] - cross @ alpha, cross - inner @ alpha
    nearest = others.max()
    if point - nearest <= GAP * abs(point):
        return None
    return Planted(alpha, float(nearest + closeness * (point - nearest)))


def _readout(features: Features, points: Tensor, found: Planted) -> Readout | None:
    """The readout of a discriminant; None if the mean of the draws' probabilities does not separate the last point."""
    draws = len(features.draws)
    weights, offsets, values = [], [], []
    for centred, middle in _centred(features, points):
        weight = draws * (centred[-1] - centred[:-1].T @ found.alpha)
        weights.append(weight)
        offsets.append(-weight @ middle - found.threshold)
        values.append(centred @ weight - found.threshold)
    each = np.array(values)
    # The smaller the logits, the nearer the mean of the probabilities is to that of the logits.
    for scale in (1.0, 0.1, 0.01, 0.001):
        factor = scale / np.abs(each).max()
        mean = np.tanh(factor * each / 2).mean(0)
        if mean[-1] > 0 and (mean[:-1] < 0).all():
            weight, bias = factor / 2 * np.array(weights), factor / 2 * np.array(offsets)
            return Readout(features, np.stack([-weight, weight], 1), np.stack([-bias, bias], 1))
    return None


def _last_layer(predictive: Predictive, x: Tensor) -> str | None:
    """The name of the linear layer whose output is the network's output; None if there is none, or it is unknown."""
    import torch

    network = predictive.network
    # A hook on the network may turn its outputs into logits.
    if not predictive.runs_its_network or network._forward_hooks:
        return None
    kept: dict[str, Any] = {}
    linear = {name: module for name, module in network.named_modules() if type(module).forward is nn.Linear.forward}
    hooks = [
        module.register_forward_hook(lambda module, inputs, output, name=name: kept.update({name: output}))
        for name, module in linear.items()
    ]
    try:
        with torch.no_grad():
            output = network(x.to(predictive.device, predictive.dtype).contiguous())
    finally:
        for hook in hooks:
            hook.remove()
    return next((name for name, one in kept.items() if one is output and output.ndim == 2), None)
