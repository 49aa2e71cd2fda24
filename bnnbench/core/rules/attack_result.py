"""The rules for what an attack returns: the form of the perturbed inputs, and their place in ball and box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from bnnbench.core.ball import TOLERANCE
from bnnbench.core.broadcasting import per_image
from bnnbench.core.goals import UNDECLARED
from bnnbench.core.threat import Threat
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.core.victim import Victim
from bnnbench.errors import ContractBreach, Incompatible
from bnnbench.plugins.installed import registry

MINIMAL_NORM = "minimal-norm"
"""The trait of attacks that look for the nearest input that reaches the goal, whatever its distance."""


class Attacker(Protocol):
    """What the rules need of an attack; `Attack` is one."""

    traits: ClassVar[frozenset[str]]

    @property
    def goals(self) -> frozenset[str]:
        """The goals that the attack can pursue."""

    @property
    def norms(self) -> frozenset[str]:
        """The norms that the attack is defined for."""

    def perturb_each(
        self, victim: Victim, x: Tensor, y: Tensor, threats: Sequence[Threat], rngs: Sequence[torch.Generator]
    ) -> list[Tensor]:
        """Perturbed inputs for each threat."""


def perturbed(
    attack: Attacker, victim: Victim, x: Tensor, y: Tensor, threats: Sequence[Threat], rngs: Sequence[torch.Generator]
) -> list[Tensor]:
    """Call the attack's `perturb_each` on copies of x (N, *shape) and y (N,), and return one batch for each threat.

    Raises `ContractBreach` if the attack changes the copies or returns something else, and `Incompatible` if it cannot
    pursue the goal or is not defined for a norm. The batches are not checked.
    """
    _check_goal(attack, threats[0].goal)
    _check_norms(attack, threats)
    given_x, given_y = x.clone(), y.clone()
    made = attack.perturb_each(victim, given_x, given_y, list(threats), list(rngs))
    if not isinstance(made, list | tuple) or len(made) != len(threats):
        raise ContractBreach(f"{name_of(attack)} returned no list with one batch for each threat")
    if not (torch.equal(given_x, x) and torch.equal(given_y, y)):
        raise ContractBreach(f"{name_of(attack)} changed the inputs or labels that it was given")
    return list(made)


def check_form(attack: Attacker, x: Tensor, adversarial: Any) -> None:
    """Raise `ContractBreach` unless the result is a tensor of x's shape, dtype, layout and device."""
    if not isinstance(adversarial, Tensor):
        raise ContractBreach(f"{name_of(attack)} returned {type(adversarial).__name__}, not a tensor")
    if adversarial.layout != x.layout or adversarial.device != x.device:
        found = f"a tensor of layout {adversarial.layout} on {adversarial.device}"
        raise ContractBreach(f"{name_of(attack)} returned {found}, not {x.layout} on {x.device}")
    if adversarial.shape != x.shape or adversarial.dtype != x.dtype:
        found = f"{tuple(adversarial.shape)} {adversarial.dtype}"
        raise ContractBreach(f"{name_of(attack)} returned {found}, not {tuple(x.shape)} {x.dtype}")


def check_place(attack: Attacker, x: Tensor, adversarial: Tensor, threat: Threat) -> None:
    """Raise `ContractBreach` unless the perturbed inputs are finite and lie in the threat's ball around x and its box.

    Rounding is allowed for (`slack_of`).
    """
    if len(x) == 0:
        return  # An attack inside of another one may be run on no image.
    if not adversarial.isfinite().all():
        raise ContractBreach(f"{name_of(attack)} returned inputs that are not finite")
    low, high = threat.box
    slack = slack_of(threat, x.dtype)
    outside = max(low - float(adversarial.min()), float(adversarial.max()) - high)
    if outside > slack:
        raise ContractBreach(f"{name_of(attack)} left the box [{low:g}, {high:g}] by {outside:.3g}")
    beyond = float((threat.distance(x, adversarial) - threat.epsilon).max())
    if beyond > slack:
        raise ContractBreach(
            f"{name_of(attack)} left the {threat.norm} ball of radius {threat.epsilon:g} by {beyond:.3g}"
        )


def slack_of(threat: Threat, dtype: torch.dtype) -> float:
    """The distance by which inputs of a type may lie outside of a threat's ball and of its box.

    It is `TOLERANCE` of the box's width, and at least two units in the last place.
    """
    low, high = threat.box
    # Far from zero neighbouring floats are further apart than the tolerance.
    return max(TOLERANCE * threat.width, 2 * torch.finfo(dtype).eps * max(abs(low), abs(high)))


def within_radius(x: Tensor, nearest: Tensor, threat: Threat) -> Tensor:
    """The nearest inputs found where they lie in the threat's ball, and their projections into the ball elsewhere."""
    inside = threat.distance(x, nearest) <= threat.epsilon
    return nearest.where(per_image(inside, x), threat.project(x, nearest))


def _check_goal(attack: Attacker, goal: str) -> None:
    """Raise `Incompatible` if the attack does not say that it pursues the goal."""
    if goal in attack.goals:
        return
    remedy = ""
    if attack.goals is UNDECLARED:
        remedy = "; one that follows the victim's values and directions says so in its property goals"
    known = " and ".join(f"'{one}'" for one in sorted(attack.goals, reverse=True))
    raise Incompatible(f"{_called(attack)} cannot pursue the goal '{goal}', but {known or 'none'}{remedy}")


def _check_norms(attack: Attacker, threats: Sequence[Threat]) -> None:
    """Raise `Incompatible` if the attack is not defined for the norm of a threat."""
    for threat in threats:
        if threat.norm not in attack.norms:
            known = " and ".join(sorted(attack.norms, reverse=True))
            raise Incompatible(f"{_called(attack)} is not defined for the {threat.norm} norm, but for {known}")


def name_of(attack: Attacker) -> str:
    """The name of the attack's class in messages about breaches of the rules, which are for its author."""
    return f"attack {name_in_messages(type(attack))}"


def _called(attack: Attacker) -> str:
    """The registered name of the attack, which users know it by; that of its class if it has none."""
    entry = registry().entry_of("attack", type(attack))
    return name_of(attack) if entry is None else f"attack {entry.name}"
