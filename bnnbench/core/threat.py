"""Threat models: the ball, the box, the attacker's access to the ensemble, and its goal."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from bnnbench.core import arguments
from bnnbench.core.ball import Ball
from bnnbench.core.balls import BALLS
from bnnbench.core.box import same_box
from bnnbench.core.goal import Goal, GoalName, Score
from bnnbench.core.goals import OPTIONS, checked_options, described, goal_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Norm = Literal["linf", "l2", "l1"]
Stream = Literal["fixed", "independent", "fresh"]
Access = Literal["gradient", "scores", "decisions"]
WORDS = {"norm": Norm, "stream": Stream, "access": Access, "goal": GoalName}
"""The fields of a threat that are words, with the words that each may be."""


@dataclass(frozen=True)
class Threat:
    """A threat model: what the attacker may do, and what it wants.

    Args:
        epsilon: the radius of the ball around each input, in the units of the data; 0 or more. A fraction such as
            `8/255` may be given as text.
        norm: the norm of the ball, `linf`, `l2` or `l1`.
        bounds: the box, the smallest and the largest value of an input. By default that of the data, or (0, 1) if an
            attack is called without data.
        stream: the draws that the attacker sees. `fixed`: the draws that defend. `independent`: other draws. `fresh`:
            `attack_draws` draws that are chosen anew for every query; the evaluation also chooses them anew for every
            image.
        attack_draws: the number of draws that the attacker sees, 1 or more. By default all that the stream allows;
            `fresh` needs it.
        access: `gradient`: gradients and scores. `scores`: scores alone. `decisions`: predicted classes alone.
        goal: `untargeted`: any other class than the label. `targeted`: the class `target`. `raise-uncertainty` and
            `lower-uncertainty`: a prediction that counts as uncertain, or as certain (`UncertaintyGoal`).
        queries: the largest number of queries of the ensemble for each image. By default there is no limit. A query
            with gradient counts once.
        target: the target class of `targeted`, from 0. By default, and for the images of that class, the class after
            the label.
        score: what the goals about uncertainty raise or lower: `entropy`, of the predictive, by default, or
            `mutual-information`.
        keep_label: whether the goals about uncertainty want the predicted class to be the label; False by default.
        level: the score in nats above which a prediction counts as uncertain; by default half of log K for the entropy
            and a quarter for the mutual information, for K classes.

    Numbers of numpy, torch and JAX are taken as the Python numbers of the same value: `numpy.float32(0.1)` is
    0.10000000149011612. Raises `ValueError`, on one line, for other values, and `TypeError` for unknown names.
    """

    epsilon: float
    norm: Norm = "linf"
    bounds: tuple[float, float] | None = None
    stream: Stream = "fixed"
    attack_draws: int | None = None
    access: Access = "gradient"
    goal: GoalName = "untargeted"
    queries: int | None = None
    target: int | None = None
    score: Score | None = None
    keep_label: bool | None = None
    level: float | None = None

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
        return checked | checked_options(self.goal, self.goal_options)

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

        The box is left out, because it belongs to the data set. `queries` is left out if there is no limit, and so are
        options of the goal that are None.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "bounds"}
        later = ("queries", *OPTIONS)
        return {name: value for name, value in values.items() if name not in later or value is not None}

    @functools.cached_property
    def aim(self) -> Goal:
        """The goal, with its options: it says what attacks follow, and when they have succeeded."""
        return goal_of(self.goal, self.goal_options)

    @property
    def goal_options(self) -> dict[str, Any]:
        """The fields that belong to some goals only, by name; those that belong to other goals are None."""
        return {name: getattr(self, name) for name in OPTIONS}

    @property
    def goal_text(self) -> str:
        """The goal with the options that differ from its defaults, such as `targeted (target 3)`."""
        return described(self.goal, self.goal_options)

    def differs_in_radius_alone(self, other: Threat) -> bool:
        """Whether two threats differ in norm and epsilon at most, so that one call of an attack can serve both."""
        return replace(self, norm=other.norm, epsilon=other.epsilon) == other

    def at_any_distance(self, shape: tuple[int, ...]) -> Threat:
        """The same threat with the smallest radius whose ball around any input of this shape holds the whole box."""
        return replace(self, epsilon=self.ball.covering(self.width, math.prod(shape)))

    @property
    def width(self) -> float:
        """The width of the box."""
        return self.box[1] - self.box[0]

    @property
    def ball(self) -> Ball:
        """The geometry of the balls of the threat's norm."""
        return BALLS[self.norm]

    def distance(self, x: Tensor, other: Tensor) -> Tensor:
        """The distances (N,) between two batches of inputs (N, *shape) in the threat's norm, in float64."""
        return self.ball.length(other.double() - x.double())

    def project(self, x: Tensor, other: Tensor) -> Tensor:
        """Inputs `other` (N, *shape) moved into the ball around x (N, *shape) and into the box.

        In the linf norm the result is the nearest allowed input. In the l2 norm, `other` is moved straight towards x
        into the ball and then clipped to the box, which moves no component away from x. In the l1 norm the result is
        the nearest allowed input. `x` must lie in the box.
        """
        return self._inside(x, self.ball.within(x, other - x, self.epsilon, self.box))

    def _inside(self, x: Tensor, step: Tensor) -> Tensor:
        """x moved by a step of length epsilon at most, clipped to the box, and corrected for rounding."""
        return self.ball.moved(x, step, self.epsilon, self.box)

    def steepest(self, direction: Tensor) -> Tensor:
        """The step (N, *shape) of length one in the threat's norm that has the largest product with the direction.

        It is the sign of the direction in the linf norm, and the normalised direction in the l2 norm. In the l1 norm it
        changes one coordinate, which the box soon stops: attacks follow `ascent` instead. It is zero for an image whose
        direction is zero.
        """
        return self.ball.steepest(direction)

    def ascent(self, points: Tensor, direction: Tensor, length: float | Tensor) -> Tensor:
        """The step (N, *shape) of a length, from points (N, *shape) in the box, along which the direction gains most.

        `length` is one number, or one for each image (N,). The step is `length` times `steepest` in the linf and l2
        norms, and may leave the box. In the l1 norm it stays in the box: each coordinate moves to its end, those with
        the largest values of the direction first, until the length is used up.
        """
        return self.ball.ascent(points, direction, length, self.box)

    def shortened(self, x: Tensor, step: Tensor, radius: Tensor) -> Tensor:
        """Steps (N, *shape) from x (N, *shape) moved into balls of the radii (N,); in the l1 norm also into the box.

        The rounding of many coordinates can leave a step a little too long, which `project` corrects.
        """
        return self.ball.within(x, step, radius, self.box)

    def dual(self, direction: Tensor) -> Tensor:
        """The largest products (N,) of directions (N, *shape) with a step of length one, in float64: the dual norm.

        A linear function with this gradient rises by epsilon times this, at most, in the ball.
        """
        return self.ball.dual(direction)

    def uniform(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Random inputs (N, *shape), uniform in the ball around x (N, *shape) and then clipped to the box.

        `rng` is a generator on the CPU, as for `signs`; the same seed gives the same noise on every device.
        """
        return self._inside(x, self.epsilon * self.ball.uniform(x, rng))

    def signs(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """x (N, *shape) plus independent random signs, scaled to the surface of the ball and clipped to the box.

        In the l1 norm, coordinates in random order move to a random end of the box, until epsilon is used up.
        """
        return self._inside(x, self.ball.signs(x, rng, self.epsilon, self.box))

    def broken(self, log_probs: Tensor, y: Tensor) -> Tensor:
        """Whether the goal is reached, (N,) bool, from log predictive probabilities (N, K) and what attacks get as `y`.

        A goal about the mutual information is never reached here: that is not known from the predictive alone.
        """
        reached: Tensor = self.aim.reached(log_probs, y)
        return reached

    def broken_by(self, classes: Tensor, y: Tensor) -> Tensor:
        """Whether the goal is reached, (N,) bool, from predicted classes (N,) and what attacks get as `y`.

        Raises `ScoresRefused` for goals about uncertainty.
        """
        reached: Tensor = self.aim.reached_by(classes, y)
        return reached
