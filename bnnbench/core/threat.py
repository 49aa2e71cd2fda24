"""What an attacker may do: the ball and the box, what is seen of the ensemble, and what counts as success."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TOLERANCE = 1e-6
"""How far, in widths of the box, an input may lie outside ball or box before it is a breach: float32's rounding."""


@dataclass(frozen=True, config=ConfigDict(strict=True, allow_inf_nan=False))
class Threat:
    """A threat model.

    Args:
        epsilon: radius of the ball around each input, in the data's units.
        norm: `linf` or `l2`.
        bounds: the box that inputs must stay in.
        stream: which draws the attacker sees: `fixed`, those that defend; `independent`, others; `fresh`,
            `attack_draws` of them chosen anew at every query, evaluation likewise.
        attack_draws: how many draws the attacker sees; all that the stream allows by default.
        access: `gradient`, or `scores` alone.
        goal: what the attacker wants: `untargeted`, any other class than the label.
    """

    epsilon: float = Field(ge=0)
    norm: Literal["linf", "l2"] = "linf"
    bounds: tuple[float, float] = (0.0, 1.0)
    stream: Literal["fixed", "independent", "fresh"] = "fixed"
    attack_draws: int | None = Field(default=None, ge=1)
    access: Literal["gradient", "scores"] = "gradient"
    goal: Literal["untargeted"] = "untargeted"

    @model_validator(mode="after")
    def _fresh_says_how_many(self) -> Self:
        if self.stream == "fresh" and self.attack_draws is None:
            raise ValueError("the stream 'fresh' needs attack_draws: how many draws each query sees")
        if not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"bounds {self.bounds} are not an interval")
        return self

    @property
    def width(self) -> float:
        """The width of the box."""
        return self.bounds[1] - self.bounds[0]

    def distance(self, x: Tensor, other: Tensor) -> Tensor:
        """The distance (N,) between two batches of inputs, in this norm."""
        difference = (other.double() - x.double()).flatten(1)
        return difference.norm(dim=1) if self.norm == "l2" else difference.abs().amax(1)

    def project(self, x: Tensor, other: Tensor) -> Tensor:
        """The nearest allowed inputs to `other` in the linf ball around x; in the l2 ball, `other` moved straight
        towards x into the ball and then clipped to the box, which never moves it away from x."""
        if self.norm == "linf":
            step = (other - x).clamp(-self.epsilon, self.epsilon)
        else:
            step = other - x
            step = step * _per_image((self.epsilon / _length(step)).clamp(max=1.0), step)
        return self._inside(x, step)

    def _inside(self, x: Tensor, step: Tensor) -> Tensor:
        """x moved by a step that is no longer than epsilon but for rounding, clipped to the box."""
        moved = (x + step).clamp(*self.bounds)
        if self.norm == "linf":
            return moved
        # Rounding of many coordinates can point outward together: such a step is shortened by what it is too long.
        excess = (self.distance(x, moved) / self.epsilon if self.epsilon else self.distance(x, moved)).to(x)
        factor = (excess > 1).to(x) * ((1 - 1e-6) / excess.clamp(min=1) - 1) + 1
        step = step * _per_image(factor, step)
        moved = (x + step).clamp(*self.bounds)
        # Far from zero floats lie so far apart that shortening changes nothing: there each is rounded inward.
        outside = self.distance(x, moved) > self.epsilon + TOLERANCE * self.width / 2
        return _rounded_inward(x, step, moved).where(_per_image(outside, moved), moved)

    def steepest(self, direction: Tensor) -> Tensor:
        """The step of length one in this norm that climbs fastest along the direction; zero where that is zero."""
        if self.norm == "linf":
            return direction.sign()
        # Scaled first: squares of a tiny direction would underflow.
        largest = direction.flatten(1).abs().amax(1)
        scaled = direction / _per_image(largest.clamp(min=_tiny(direction)), direction)
        return (scaled / _per_image(_length(scaled), scaled)).to(direction)

    def uniform(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Uniform noise in the ball around x, clipped to the box."""
        return self._inside(x, self.epsilon * _UNIFORM[self.norm](x, rng))

    def signs(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Independent random signs, scaled to the surface of the ball around x, clipped to the box."""
        return self._inside(x, self.epsilon * self.steepest(_signs(x, rng)))

    def broken(self, log_probs: Tensor, y: Tensor) -> Tensor:
        """Where the attacker's goal is reached, (N,) bool, from predictive log-probabilities (N, K) and labels (N,)."""
        return log_probs.argmax(-1) != y


def _rounded_inward(x: Tensor, step: Tensor, moved: Tensor) -> Tensor:
    """What was moved, with no coordinate further from x than its step."""
    import torch

    too_far = (moved.double() - x.double()).abs() > step.double().abs()
    return torch.nextafter(moved, x).where(too_far, moved)


def _signs(x: Tensor, rng: torch.Generator) -> Tensor:
    import torch

    # Drawn on the CPU so that the same seed gives the same noise on every device.
    return (torch.randint(0, 2, x.shape, generator=rng) * 2 - 1).to(x)


def _uniform_linf(x: Tensor, rng: torch.Generator) -> Tensor:
    import torch

    # The dtype is said: the host may have changed the default, and with it the numbers.
    return (torch.rand(x.shape, generator=rng, dtype=torch.float32) * 2 - 1).to(x)


def _uniform_l2(x: Tensor, rng: torch.Generator) -> Tensor:
    import torch

    normal = torch.randn(x.shape, generator=rng, dtype=torch.float32).to(x)
    # The share of a d-dimensional ball within radius r is r^d.
    radius = torch.rand(len(x), generator=rng, dtype=torch.float32).to(x) ** (1 / x[0].numel())
    return normal * _per_image(radius / _length(normal), x)


_UNIFORM: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {"linf": _uniform_linf, "l2": _uniform_l2}


def _length(batch: Tensor) -> Tensor:
    return batch.double().flatten(1).norm(dim=1).clamp(min=_tiny(batch)).to(batch)


def _tiny(batch: Tensor) -> float:
    import torch

    return torch.finfo(batch.dtype).tiny


def _per_image(values: Tensor, batch: Tensor) -> Tensor:
    return values.view(-1, *[1] * (batch.ndim - 1))
