"""Evaluate an attack on a predictive from a program, without a benchmarks file."""

from __future__ import annotations

from bnnbench.core.attack import Attack
from bnnbench.core.dataset import Data
from bnnbench.core.predictive import Predictive
from bnnbench.core.threat import Threat
from bnnbench.measurements.attack import AttackMeasurement
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.outcome import Outcome


def evaluate(
    predictive: Predictive,
    attack: Attack,
    data: Data,
    *,
    epsilon: float | None = None,
    threat: Threat | None = None,
    images: int = 500,
    draws: int | None = None,
    seed: int = 0,
) -> Outcome:
    """The outcome of an attack on N test images under one threat.

    Exactly one of `epsilon` and `threat` must be given. `epsilon` is the radius of an l-infinity ball in the data's
    units, and the rest of the threat has its defaults. The box of the threat is that of the data. The images are the
    first `images` of one fixed shuffle of the test set, so N is `images`, or the size of the test set if that is
    smaller. `draws` is the largest number of draws that defend: all by default.

    Raises `TypeError` or `ValueError` for wrong arguments, a threat with another box included; `ContractBreach` if the
    attack breaks a rule or the predictive gives values that are not finite; `Incompatible` if there are too few draws.
    """
    if (epsilon is None) == (threat is None):
        raise TypeError("evaluate takes either epsilon or threat")
    if not isinstance(attack, Attack):
        raise TypeError(f"evaluate takes an attack such as bnnbench.attack('pgd'), not {attack!r}")
    if epsilon is not None and not isinstance(epsilon, int | float):
        raise TypeError(f"epsilon is one number, not {epsilon!r}; call evaluate once for each")
    if images < 1 or (draws is not None and draws < 1):
        raise ValueError("evaluate needs at least one image and one draw")
    chosen = (threat or Threat(epsilon=float(epsilon or 0.0))).with_box(data.bounds)
    defence = Defence(predictive, data, chosen, images=images, draws=draws, seed=seed)
    (outcome,) = AttackMeasurement(attack).run(defence, [chosen], "few")
    return outcome
