"""What attacks have in common that attack another model in place of the ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench import Threat, Victim


def record_broken(victim: Victim, surrogate: Victim, threat: Threat, found: Tensor, y: Tensor) -> None:
    """Record with the victim, as `surrogate_broken`, whether inputs `found` (N, *shape) reach the goal at a surrogate.

    `threat` is that of the attack on the surrogate. Inputs that break the surrogate alone say nothing about the
    ensemble. Nothing is recorded for goals about uncertainty, which predicted classes do not tell.
    """
    if threat.goal in ("untargeted", "targeted"):
        victim.record("surrogate_broken", threat.broken_by(surrogate.decisions(found), y).to(found))
