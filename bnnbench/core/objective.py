"""Objectives: functions of log-probabilities that an attacker maximises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from bnnbench.core.arguments import instance_of
from bnnbench.core.component import Component
from bnnbench.core.component_parameter import component_parameter
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import ContractBreach
from bnnbench.plugins.installed import registry

if TYPE_CHECKING:
    from torch import Tensor


class OddsTerm(NamedTuple):
    """One term of a direction: a weighted sum, over draws, of gradients of the log odds against a class.

    The log odds of draw s against class k are log(1 - p_s[k]) - log p_s[k].

    Attributes:
        classes: the class of each image, (N,).
        sign: 1.0 or -1.0, the sign of the term.
        log_weight: the logarithms of the draws' weights, (S, N).
    """

    classes: Tensor
    sign: float
    log_weight: Tensor


class Objective(Component):
    """A function of the draws' log-probabilities that the attacker maximises. Its fields are its parameters.

    Only `value` is required. Three further methods define the direction that attacks follow. The first of them that is
    defined, and does not return None, is used:

    1. `log_weight`: one pass over the draws.
    2. `odds_terms`: two passes.
    3. `ascent`: two passes. Without any of them, the direction is the gradient of `value`, in two passes.

    Two passes become one where the first pass of every draw can be held in memory.

    A subclass that overrides `value` does not inherit the direction of its parent.
    """

    kind: ClassVar[str] = "objective"

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        """The objective (N,) of each image, larger for a more successful attack.

        Args:
            log_probs: log-probabilities (S, N, K) of each draw.
            y: labels (N,).
        """
        raise NotImplementedError

    def ascent(self, log_probs: Tensor, y: Tensor) -> Tensor:
        """A strictly increasing function (N,) of `value`. By default `value` itself.

        Override it with a function whose gradient does not vanish where the network saturates. Arguments are as in
        `value`.
        """
        return self.value(log_probs, y)

    def odds_terms(self, log_probs: Tensor, y: Tensor) -> Sequence[OddsTerm] | None:
        """The gradient of `value` as a signed sum of gradients of log odds, up to a positive factor for each image.

        The resulting direction does not vanish where draws are certain. None (the default) if there is no such form.
        Arguments are as in `value`.
        """
        return None

    def log_weight(self, right: Tensor, wrong: Tensor) -> Tensor | None:
        """The logarithm (N,) of the weight of one draw s in the gradient of `value`.

        It is defined if the gradient is a sum over draws of weights, not negative, times the gradients of the draws'
        log odds against the label, up to a positive factor for each image. None (the default) if there is no such form.

        Args:
            right: log p_s[y], (N,).
            wrong: log(1 - p_s[y]), (N,).
        """
        return None


def value_of(objective: Objective, log_probs: Tensor, y: Tensor) -> Tensor:
    """The objective's checked value (N,). Raises `ContractBreach` if it has another shape or contains NaN."""
    value = objective.value(log_probs, y)
    name = f"objective {name_in_messages(type(objective))}"
    if value.shape != y.shape:
        raise ContractBreach(f"{name} returned a value of shape {tuple(value.shape)}, not {tuple(y.shape)}")
    if value.isnan().any():
        raise ContractBreach(f"{name} returned a value that is not a number")
    return value


def as_objective(objective: Objective | str) -> Objective:
    """The objective that is given as an instance or by its registered name.

    Raises `UnknownComponent` for a name that is not registered, and `TypeError` for anything else.
    """
    if isinstance(objective, str):
        return registry().create("objective", objective, {})
    return instance_of(objective, Objective, argument="objective", meant="an objective, such as 'predictive-nll'")


ObjectiveParameter = Annotated[Objective, *component_parameter("objective")]
"""The type of a parameter that takes an objective: an instance, a registered name, or a mapping with `use`."""
