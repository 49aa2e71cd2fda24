"""Run an attack inside of another attack, under the rules that hold for every attack."""

from __future__ import annotations

import torch
from torch import Tensor

from bnnbench.core.rules.attack_result import (
    MINIMAL_NORM,
    Attacker,
    check_form,
    check_place,
    perturbed,
    within_radius,
)
from bnnbench.core.threat import Threat
from bnnbench.core.victim import Victim


def run_nested(attack: Attacker, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
    """The inputs (N, *shape) of an attack on the victim of an outer attack; all queries are booked to that victim.

    A `minimal-norm` attack runs under a radius that covers the whole box; inputs outside of the threat's ball are then
    projected into it. Raises `ContractBreach` with the inner attack's name if it breaks a rule, and `ValueError` if the
    threat differs from the victim's in more than norm and epsilon.
    """
    victim = victim.for_one_threat(threat)
    nearest = MINIMAL_NORM in attack.traits
    given = threat.at_any_distance(tuple(x.shape[1:])) if nearest else threat
    x = x.detach()
    (made,) = perturbed(attack, victim, x, y, [given], [rng])
    check_form(attack, x, made)
    made = made.detach()
    check_place(attack, x, made, given)
    return within_radius(x, made, threat) if nearest else made
