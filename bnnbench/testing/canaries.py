"""Canaries: small cases that are broken in a known way, at which flags of the audit must be raised.

`CANARIES` holds the functions that make them, by name. None needs training:

    from bnnbench.testing.canaries import CANARIES

    canary = CANARIES["saturated"](seed=0)
    audit = canary.audit()
    assert canary.missed(audit) == []

Each docstring says what is broken, and which flags must be raised. Inputs lie in the unit box. Labels are what the
model predicts, so that the clean accuracy is 100%, unless the docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from bnnbench.testing import broken_attacks, broken_models, sound_cases
from bnnbench.testing.canary import Canary

_MAKERS: list[Callable[..., Canary]] = [
    sound_cases.linear,
    sound_cases.wrong_everywhere,
    sound_cases.similar_draws,
    sound_cases.alike,
    broken_models.constant,
    broken_models.saturated,
    broken_models.shattered,
    broken_models.gradient_masked,
    broken_models.masked_draws,
    broken_models.planted_detector,
    broken_models.stochastic,
    broken_models.probabilities_as_logits,
    broken_models.conflicting_draws,
    broken_models.other_draws,
    broken_models.loud_draw,
    broken_models.averaged_draws,
    broken_attacks.wrong_sign,
    broken_attacks.wrong_sign_beside_fgsm,
    broken_attacks.one_step,
    broken_attacks.tiny_steps,
    broken_attacks.corners,
    broken_attacks.last_iterate,
    broken_attacks.one_restart,
]
CANARIES: dict[str, Callable[..., Canary]] = {make.__name__.replace("_", "-"): make for make in _MAKERS}
"""The functions that make canaries, by name; each takes a seed."""

__all__ = ["CANARIES", "Canary"]
