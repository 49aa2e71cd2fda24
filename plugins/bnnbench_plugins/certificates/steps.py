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


class Step(ABC):
    """One operation of a network under the weights of one draw, in float64.

    `sources` are the positions, among the steps, of those whose values it takes. Values are (N, *shape).
    """

    sources: tuple[int, ...]
    independent = False
    """Whether the output has one coordinate for each of the input, so that intervals lose nothing."""

    @abstractmethod
    def interval(self, inputs: Sequence[Interval], unit: float) -> tuple[Interval, Tensor | None]:
        """Bounds of the computed values, and a bound (N, *shape) of the step's own rounding error, None if it is zero.

        `unit` is the rounding unit. The bounds allow for the error.
        """

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

    @abstractmethod
    def linear(self, x: Tensor) -> Tensor:
        """The linear map of x (N, *shape)."""

    @abstractmethod
    def magnitude(self, x: Tensor) -> Tensor:
        """The linear map with absolute coefficients of x (N, *shape)."""

    @abstractmethod
    def transposed(self, rows: Tensor) -> Tensor:
        """The transposed linear map of rows (M, *shape)."""

    def interval(self, inputs: Sequence[Interval], unit: float) -> tuple[Interval, Tensor | None]:
        (given,) = inputs
        middle = self.linear((given.lower + given.upper) / 2)
        half = self.magnitude((given.upper - given.lower) / 2)
        products = self.magnitude(given.magnitude)
        if self.bias is not None:
            middle, products = middle + self.bias, products + self.bias.abs()
        error = gamma(self.roundings, unit) * products + self.roundings * UNDERFLOW
        return Interval(middle - half, middle + half).widened(error), error

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
    """A two-dimensional convolution with padding by zeros: `weight` (outputs, channels, rows, columns)."""

    def __init__(
        self, source: int, weight: Tensor, bias: Tensor | None, geometry: Geometry, shape: tuple[int, ...]
    ) -> None:
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

    `lost` (1, *shape) bounds the absolute values of what the shift is computed from.
    """

    independent = True

    def __init__(self, source: int, scale: Tensor, shift: Tensor, lost: Tensor, roundings: int) -> None:
        self.sources, self.roundings = (source,), roundings
        self.scale, self.bias, self.lost = scale, shift, lost

    def linear(self, x: Tensor) -> Tensor:
        return x * self.scale

    def magnitude(self, x: Tensor) -> Tensor:
        return x * self.scale.abs()

    def transposed(self, rows: Tensor) -> Tensor:
        return rows * self.scale

    def interval(self, inputs: Sequence[Interval], unit: float) -> tuple[Interval, Tensor | None]:
        exact, error = super().interval(inputs, unit)
        assert error is not None
        more = gamma(self.roundings, unit) * self.lost
        return exact.widened(more), error + more


class Reshape(Step):
    """The same values in another shape."""

    independent = True

    def __init__(self, source: int, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        self.sources, self.before, self.after = (source,), before, after

    def interval(self, inputs: Sequence[Interval], unit: float) -> tuple[Interval, Tensor | None]:
        lower, upper = (part.reshape(len(part), *self.after) for part in (inputs[0].lower, inputs[0].upper))
        return Interval(lower, upper), None

    def back(self, rows: Tensor, inputs: Sequence[Interval], slopes: Slopes | None) -> tuple[list[Tensor], Tensor]:
        return [rows.reshape(*rows.shape[:2], *self.before)], rows.new_zeros(rows.shape[:2])


class Sum(Step):
    """The sum of the values of two steps, as in residual networks."""

    def __init__(self, first: int, second: int) -> None:
        self.sources = (first, second)

    def interval(self, inputs: Sequence[Interval], unit: float) -> tuple[Interval, Tensor | None]:
        first, second = inputs
        both = Interval(first.lower + second.lower, first.upper + second.upper)
        error = gamma(2, unit) * (first.magnitude + second.magnitude)
        return both.widened(error), error

    def back(self, rows: Tensor, inputs: Sequence[Interval], slopes: Slopes | None) -> tuple[list[Tensor], Tensor]:
        return [rows, rows], rows.new_zeros(rows.shape[:2])
