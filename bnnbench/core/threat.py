"""Threat models: the ball, the box, the attacker's access to the ensemble, and its goal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from bnnbench.core import arguments
from bnnbench.core.box import same_box
from bnnbench.core.broadcasting import per_image
from bnnbench.core.goal import GOALS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Norm = Literal["linf", "l2"]
Stream = Literal["fixed", "independent", "fresh"]
Access = Literal["gradient", "scores", "decisions"]
Goal = Literal["untargeted"]
WORDS = {"norm": Norm, "stream": Stream, "access": Access, "goal": Goal}
"""The fields of a threat that are words, with the words that each may be."""

TOLERANCE = 1e-6
"""Distance, in widths of the box, by which an input may lie outside of ball or box: it allows for float32 rounding."""


@dataclass(frozen=True)
class Threat:
    """A threat model: what the attacker may do, and what it wants.

    Args:
        epsilon: the radius of the ball around each input, in the units of the data; 0 or more. A fraction such as
            `8/255` may be given as text.
        norm: the norm of the ball, `linf` or `l2`.
        bounds: the box, the smallest and the largest value of an input. By default that of the data, or (0, 1) if an
            attack is called without data.
        stream: the draws that the attacker sees. `fixed`: the draws that defend. `independent`: other draws. `fresh`:
            `attack_draws` draws that are chosen anew for every query; the evaluation also chooses them anew for every
            image.
        attack_draws: the number of draws that the attacker sees, 1 or more. By default all that the stream allows;
            `fresh` needs it.
        access: `gradient`: gradients and scores. `scores`: scores alone. `decisions`: predicted classes alone.
        goal: `untargeted`: any other class than the label.
        queries: the largest number of queries of the ensemble for each image. By default there is no limit. A query
            with gradient counts once.

    Numbers of numpy, torch and JAX are taken as the Python numbers of the same value: `numpy.float32(0.1)` is
    0.10000000149011612. Raises `ValueError`, on one line, for other values, and `TypeError` for unknown names.
    """

    epsilon: float
    norm: Norm = "linf"
    bounds: tuple[float, float] | None = None
    stream: Stream = "fixed"
    attack_draws: int | None = None
    access: Access = "gradient"
    goal: Goal = "untargeted"
    queries: int | None = None

    def __new__(cls, *_: Any, **given: Any) -> Self:
        # Only names are checked here: Python's own message does not say which name was probably meant.
        arguments.names(given, [field.name for field in fields(cls)], function="Threat")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        try:
            checked = self._checked()
        except (TypeError, ValueError) as error:
            raise ValueError(f"Threat: {error}") from None
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def _checked(self) -> dict[str, Any]:
        """All fields in plain form. Raises `ValueError` or `TypeError` for the first that is wrong."""
        checked: dict[str, Any] = {"epsilon": arguments.radius(self.epsilon, argument="epsilon")}
        for name, words in WORDS.items():
            checked[name] = arguments.one_of(getattr(self, name), get_args(words), argument=name)
        for name in ("attack_draws", "queries"):
            value = getattr(self, name)
            checked[name] = None if value is None else arguments.integer(value, argument=name, least=1)
        if self.bounds is not None:
            checked["bounds"] = arguments.interval(self.bounds, argument="bounds")
        if self.stream == "fresh" and self.attack_draws is None:
            raise ValueError("the stream 'fresh' needs attack_draws: how many draws each query sees")
        return checked

    @property
    def box(self) -> tuple[float, float]:
        """The smallest and the largest allowed value of an input: `bounds`, or (0, 1) if there are none."""
        return (0.0, 1.0) if self.bounds is None else self.bounds

    def with_box(self, bounds: tuple[float, float]) -> Threat:
        """The same threat with the box of some data.

        Raises `ValueError` if the threat has another box. Boxes that differ by the rounding of float32 are the same.
        """
        if self.bounds is not None and not same_box(self.bounds, bounds):
            mine, data = (f"[{low:g}, {high:g}]" for low, high in (self.bounds, bounds))
            raise ValueError(f"the threat's box is {mine}, the data's is {data}: leave out the threat's bounds")
        return replace(self, bounds=bounds)

    def identity(self) -> dict[str, Any]:
        """The JSON object by which the keys of the store identify the threat.

        The box is left out, because it belongs to the data set. `queries` is left out if there is no limit.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "bounds"}
        return {name: value for name, value in values.items() if name != "queries" or value is not None}

    def differs_in_radius_alone(self, other: Threat) -> bool:
        """Whether two threats differ in norm and epsilon at most, so that one call of an attack can serve both."""
        return replace(self, norm=other.norm, epsilon=other.epsilon) == other

    def at_any_distance(self, shape: tuple[int, ...]) -> Threat:
        """The same threat with the smallest radius whose ball around any input of this shape holds the whole box."""
        size = math.prod(shape) if self.norm == "l2" else 1
        return replace(self, epsilon=self.width * math.sqrt(size))

    @property
    def width(self) -> float:
        """The width of the box."""
        return self.box[1] - self.box[0]

    def distance(self, x: Tensor, other: Tensor) -> Tensor:
        """The distances (N,) between two batches of inputs (N, *shape) in the threat's norm, in float64."""
        difference = (other.double() - x.double()).flatten(1)
        return difference.norm(dim=1) if self.norm == "l2" else difference.abs().amax(1)

    def project(self, x: Tensor, other: Tensor) -> Tensor:
        """Inputs `other` (N, *shape) moved into the ball around x (N, *shape) and into the box.

        In the linf norm the result is the nearest allowed input. In the l2 norm, `other` is moved straight towards x
        into the ball and then clipped to the box, which moves no component away from x. `x` must lie in the box.
        """
        if self.norm == "linf":
            step = (other - x).clamp(-self.epsilon, self.epsilon)
        else:
            step = other - x
            step = step * per_image((self.epsilon / _length(step)).clamp(max=1.0), step)
        return self._inside(x, step)

    def _inside(self, x: Tensor, step: Tensor) -> Tensor:
        """x moved by a step of length epsilon at most, clipped to the box, and corrected for rounding."""
        moved = (x + step).clamp(*self.box)
        if self.norm == "linf":
            return moved
        # The rounding errors of many coordinates can add up to a step that is too long. Such a step is shortened.
        excess = (self.distance(x, moved) / self.epsilon if self.epsilon else self.distance(x, moved)).to(x)
        factor = (excess > 1).to(x) * ((1 - 1e-6) / excess.clamp(min=1) - 1) + 1
        step = step * per_image(factor, step)
        moved = (x + step).clamp(*self.box)
        # Far from zero, floats lie so far apart that shortening has no effect. Coordinates are then rounded towards x.
        outside = self.distance(x, moved) > self.epsilon + TOLERANCE * self.width / 2
        return _rounded_inward(x, step, moved).where(per_image(outside, moved), moved)

    def steepest(self, direction: Tensor) -> Tensor:
        """The step (N, *shape) of length one in the threat's norm that has the largest product with the direction.

        It is the sign of the direction in the linf norm, and the normalised direction in the l2 norm. It is zero for an
        image whose direction is zero.
        """
        if self.norm == "linf":
            return direction.sign()
        # The direction is scaled first, because the squares of a tiny one would underflow.
        largest = direction.flatten(1).abs().amax(1)
        scaled = direction / per_image(largest.clamp(min=_tiny(direction)), direction)
        return (scaled / per_image(_length(scaled), scaled)).to(direction)

    def uniform(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Random inputs (N, *shape), uniform in the ball around x (N, *shape) and then clipped to the box.

        `rng` is a generator on the CPU, as for `signs`; the same seed gives the same noise on every device.
        """
        return self._inside(x, self.epsilon * _UNIFORM[self.norm](x, rng))

    def signs(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """x (N, *shape) plus independent random signs, scaled to the surface of the ball and clipped to the box."""
        return self._inside(x, self.epsilon * self.steepest(_signs(x, rng)))

    def broken(self, log_probs: Tensor, y: Tensor) -> Tensor:
        """Whether the goal is reached, (N,) bool, from log predictive probabilities (N, K) and labels (N,)."""
        reached: Tensor = GOALS[self.goal].reached(log_probs, y)
        return reached

    def broken_by(self, classes: Tensor, y: Tensor) -> Tensor:
        """Whether the goal is reached, (N,) bool, from predicted classes (N,) and labels (N,)."""
        reached: Tensor = GOALS[self.goal].reached_by(classes, y)
        return reached


def _rounded_inward(x: Tensor, step: Tensor, moved: Tensor) -> Tensor:
    """`moved`, with each coordinate that is further from x than its step rounded to the next float towards x."""
    import torch

    too_far = (moved.double() - x.double()).abs() > step.double().abs()
    return torch.nextafter(moved, x).where(too_far, moved)


def _signs(x: Tensor, rng: torch.Generator) -> Tensor:
    import torch

    # The numbers are drawn on the CPU, so that the same seed gives the same noise on every device.
    return (torch.randint(0, 2, x.shape, generator=rng, device="cpu") * 2 - 1).to(x)


def _uniform_linf(x: Tensor, rng: torch.Generator) -> Tensor:
    import torch

    # The dtype is explicit, because another default dtype would give other numbers.
    return (torch.rand(x.shape, generator=rng, dtype=torch.float32, device="cpu") * 2 - 1).to(x)


def _uniform_l2(x: Tensor, rng: torch.Generator) -> Tensor:
    import torch

    normal = torch.randn(x.shape, generator=rng, dtype=torch.float32, device="cpu").to(x)
    # In d dimensions, the fraction r^d of the unit ball's volume lies within radius r.
    radius = torch.rand(len(x), generator=rng, dtype=torch.float32, device="cpu").to(x) ** (1 / math.prod(x.shape[1:]))
    return normal * per_image(radius / _length(normal), x)


_UNIFORM: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {"linf": _uniform_linf, "l2": _uniform_l2}


def _length(batch: Tensor) -> Tensor:
    """The Euclidean length (N,) of each image, at least the smallest positive float."""
    return batch.double().flatten(1).norm(dim=1).clamp(min=_tiny(batch)).to(batch)


def _tiny(batch: Tensor) -> float:
    """The smallest positive normal float of the batch's type."""
    import torch

    return torch.finfo(batch.dtype).tiny
