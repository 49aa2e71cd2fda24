"""The operations of a network that are affine in their input, as steps of its bounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input

from bnnbench_plugins.certificates.intervals import Interval, inner
from bnnbench_plugins.certificates.rounding import UNDERFLOW, gamma

Slopes = tuple[Tensor, Tensor]
"""The slopes (N, *shape) of an activation's lower and upper line."""


@dataclass(frozen=True, eq=False)
class Computed:
    """Bounds of what the predictive computes in one step.

    `interval` bounds the values, and allows for the step's own rounding error. `error` (N, *shape) bounds this error;
    None if it is zero. `reach` (N, ...) bounds the absolute values of what is computed on the way, such as partial
    sums; None if they are no larger than the values.
    """

    interval: Interval
    error: Tensor | None = None
    reach: Tensor | None = None


class Step(ABC):
    """One operation of a network under the weights of one draw, in float64.

    `sources` are the positions, among the steps, of those whose values it takes. Values are (N, *shape).
    """

    sources: tuple[int, ...]
    independent = False
    """Whether the output has one coordinate for each of the input, so that intervals lose nothing."""

    @abstractmethod
    def computed(self, inputs: Sequence[Interval], unit: float) -> Computed:
        """Bounds of what is computed, given bounds of the computed inputs. `unit` is the rounding unit."""

    @abstractmethod
    def back(self, rows: Tensor, inputs: Sequence[Interval], slopes: Slopes | None) -> tuple[list[Tensor], Tensor]:
        """A lower bound of the products of rows (N, R, *shape) with the exact values, affine in the inputs.

        Returns the rows of coefficients of each input, and the constants (N, R).
        """


class Affine(Step):
    """A linear map plus a bias. `roundings` are those of one output."""

    roundings: int
    bias: Tensor | None
    """The bias in a shape that broadcasts to (1, *shape), or None."""
    enlarged = 1.0
    """By how much partial sums may be larger than the products that this step adds."""

    @abstractmethod
    def linear(self, x: Tensor) -> Tensor:
        """The linear map of x (N, *shape)."""

    @abstractmethod
    def magnitude(self, x: Tensor) -> Tensor:
        """The linear map with absolute coefficients of x (N, *shape)."""

    @abstractmethod
    def transposed(self, rows: Tensor) -> Tensor:
        """The transposed linear map of rows (M, *shape)."""

    def computed(self, inputs: Sequence[Interval], unit: float) -> Computed:
        (given,) = inputs
        middle = self.linear((given.lower + given.upper) / 2)
        half = self.magnitude((given.upper - given.lower) / 2)
        products = self.magnitude(given.magnitude)
        if self.bias is not None:
            middle, products = middle + self.bias, products + self.bias.abs()
        error = gamma(self.roundings, unit) * products + self.roundings * UNDERFLOW
        return Computed(Interval(middle - half, middle + half).widened(error), error, self.enlarged * products + error)

    def back(self, rows: Tensor, inputs: Sequence[Interval], slopes: Slopes | None) -> tuple[list[Tensor], Tensor]:
        constant = rows.new_zeros(rows.shape[:2])
        if self.bias is not None:
            constant = inner(rows, self.bias.expand(1, *rows.shape[2:]))
        through = self.transposed(rows.flatten(0, 1))
        return [through.unflatten(0, rows.shape[:2])], constant


class Dense(Affine):
    """A matrix product over the last axis: `weight` (outputs, inputs), `bias` (outputs,) or None."""

    def __init__(self, source: int, weight: Tensor, bias: Tensor | None) -> None:
        self.sources = (source,)
        self.weight, self.roundings = weight.double(), weight.shape[1] + 2
        self.bias = None if bias is None else bias.double()[None]

    def linear(self, x: Tensor) -> Tensor:
        return x @ self.weight.T

    def magnitude(self, x: Tensor) -> Tensor:
        return x @ self.weight.abs().T

    def transposed(self, rows: Tensor) -> Tensor:
        return rows @ self.weight


@dataclass(frozen=True, eq=False)
class Geometry:
    """How the windows of a convolution lie: pairs (rows, columns), and the number of groups of channels."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


class Convolution(Affine):
    """A two-dimensional convolution with padding by zeros: `weight` (outputs, channels, rows, columns).

    An average is one too. Its sum is divided at the end, so that partial sums are `enlarged`.
    """

    def __init__(
        self,
        source: int,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        shape: tuple[int, ...],
        enlarged: float = 1.0,
    ) -> None:
        self.enlarged = enlarged
        self.sources, self.geometry, self.shape = (source,), geometry, shape
        self.weight, self.roundings = weight.double().contiguous(), weight[0].numel() + 2
        self.bias = None if bias is None else bias.double()[None, :, None, None]

    def linear(self, x: Tensor) -> Tensor:
        return self._convolved(x, self.weight)

    def magnitude(self, x: Tensor) -> Tensor:
        return self._convolved(x, self.weight.abs())

    def transposed(self, rows: Tensor) -> Tensor:
        g = self.geometry
        size = (len(rows), *self.shape)
        return conv2d_input(size, self.weight, rows, g.stride, g.padding, g.dilation, g.groups)

    def _convolved(self, x: Tensor, weight: Tensor) -> Tensor:
        g = self.geometry
        return F.conv2d(x, weight, None, g.stride, g.padding, g.dilation, g.groups)


class Diagonal(Affine):
    """A scale and a shift of each coordinate: tensors (1, *shape).

    `lost` (1, *shape) bounds the absolute values of what the shift is computed from. What is computed on the way is at
    most `reach[0]` times the absolute value, plus `reach[1]`: tensors (1, *shape).
    """

    independent = True

    def __init__(
        self, source: int, scale: Tensor, shift: Tensor, lost: Tensor, reach: tuple[Tensor, Tensor], roundings: int
    ) -> None:
        self.sources, self.roundings = (source,), roundings
        self.scale, self.bias, self.lost, self.reach = scale, shift, lost, reach

    def linear(self, x: Tensor) -> Tensor:
        return x * self.scale

    def magnitude(self, x: Tensor) -> Tensor:
        return x * self.scale.abs()

    def transposed(self, rows: Tensor) -> Tensor:
        return rows * self.scale

    def computed(self, inputs: Sequence[Interval], unit: float) -> Computed:
        found = super().computed(inputs, unit)
        assert found.error is not None
        more = gamma(self.roundings, unit) * self.lost
        reach = self.reach[0] * inputs[0].magnitude + self.reach[1]
        return Computed(found.interval.widened(more), found.error + more, reach)


class Reshape(Step):
    """The same values in another shape."""

    independent = True

    def __init__(self, source: int, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        self.sources, self.before, self.after = (source,), before, after

    def computed(self, inputs: Sequence[Interval], unit: float) -> Computed:
        lower, upper = (part.reshape(len(part), *self.after) for part in (inputs[0].lower, inputs[0].upper))
        return Computed(Interval(lower, upper))

    def back(self, rows: Tensor, inputs: Sequence[Interval], slopes: Slopes | None) -> tuple[list[Tensor], Tensor]:
        return [rows.reshape(*rows.shape[:2], *self.before)], rows.new_zeros(rows.shape[:2])


class Sum(Step):
    """The sum of the values of two steps, as in residual networks, or the difference, where `sign` is -1."""

    def __init__(self, first: int, second: int, sign: int) -> None:
        self.sources, self.sign = (first, second), sign

    def computed(self, inputs: Sequence[Interval], unit: float) -> Computed:
        first, second = inputs
        if self.sign < 0:
            second = Interval(-second.upper, -second.lower)
        error = gamma(2, unit) * (first.magnitude + second.magnitude)
        return Computed(Interval(first.lower + second.lower, first.upper + second.upper).widened(error), error)

    def back(self, rows: Tensor, inputs: Sequence[Interval], slopes: Slopes | None) -> tuple[list[Tensor], Tensor]:
        return [rows, self.sign * rows], rows.new_zeros(rows.shape[:2])
