"""Objectives: what an attacker maximises, from log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from bnnbench.core.component import Component
from bnnbench.errors import ContractBreach, UnknownComponent
from bnnbench.plugins.registry import registry

if TYPE_CHECKING:
    from torch import Tensor


class OddsTerm(NamedTuple):
    """Of the log odds against `classes` (N,), one for each image: the sign with which its gradient enters, and the
    logarithm of its weight in each draw (S, N)."""

    classes: Tensor
    sign: float
    log_weight: Tensor


class Objective(Component):
    """What the attacker maximises, as a function of the draws' log-probabilities.

    Only `value` is required. `log_weight` makes the attack's direction one streamed pass over the draws; without it
    the direction takes a second pass and follows `odds_terms` or, without those, the gradient of `ascent`. A subclass
    that overrides `value` alone does not inherit its parent's forms of the direction.
    """

    kind: ClassVar[str] = "objective"

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        """The objective (N,), larger is better for the attacker, from log_probs (S, N, K) and labels y (N,)."""
        raise NotImplementedError

    def ascent(self, log_probs: Tensor, y: Tensor) -> Tensor:
        """A strictly increasing function of `value`, per image, whose gradient does not vanish where the network
        saturates; `value` itself unless overridden."""
        return self.value(log_probs, y)

    def odds_terms(self, log_probs: Tensor, y: Tensor) -> Sequence[OddsTerm] | None:
        """The objective's gradient as a sum over a few classes of the draws' gradients of the log odds against them.

        It gives a direction that does not vanish where draws are sure of themselves; None if there is no such form.

        Args: log_probs (S, N, K), labels y (N,). The sum may be scaled by any positive factor for each image.
        """
        return None

    def log_weight(self, right: Tensor, wrong: Tensor) -> Tensor | None:
        """The logarithm of the weight with which a draw's gradient of the log odds against y enters the objective's
        gradient, up to a constant for each image; None if there is no such form.

        Args: right = log p_s[y] and wrong = log(1 - p_s[y]) of draw s, both (N,).
        """
        return None


def value_of(objective: Objective, log_probs: Tensor, y: Tensor) -> Tensor:
    """The objective's value (N,); raises `ContractBreach` if it has another shape, or is not a number somewhere."""
    found = objective.value(log_probs, y)
    name = f"objective {type(objective).__module__}.{type(objective).__qualname__}"
    if found.shape != y.shape:
        raise ContractBreach(f"{name} returned a value of shape {tuple(found.shape)}, not {tuple(y.shape)}")
    if found.isnan().any():
        raise ContractBreach(f"{name} returned a value that is not a number")
    return found


def _resolve(value: Any) -> Any:
    if isinstance(value, str):
        value = {"use": value}
    if not isinstance(value, dict):
        return value
    parameters = dict(value)
    name = parameters.pop("use", None)
    if not isinstance(name, str):
        raise ValueError("an objective is a name, or a mapping with 'use' and its parameters")
    try:
        return registry().create("objective", name, parameters)
    except UnknownComponent as error:
        raise ValueError(str(error)) from error


def _written(objective: Objective) -> dict[str, Any]:
    recipe = registry().recipe("objective", objective)
    return {"use": recipe["use"], **recipe["parameters"]} if recipe else objective.model_dump(mode="json")


ObjectiveParameter = Annotated[
    Objective,
    BeforeValidator(_resolve),
    PlainSerializer(_written),
    WithJsonSchema({"type": ["string", "object"]}),
]
"""The type of a parameter that takes an objective: an instance, a registered name, or a mapping with `use`."""
