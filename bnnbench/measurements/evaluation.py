"""Evaluate an attack on a predictive from a program, without a benchmarks file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from bnnbench.core import arguments
from bnnbench.core.attack import Attack
from bnnbench.core.dataset import Data
from bnnbench.core.draws import Progress
from bnnbench.core.progress_bar import shown_progress
from bnnbench.core.threat import Threat
from bnnbench.measurements.asked import Radius, asked_of
from bnnbench.measurements.attack import AttackMeasurement
from bnnbench.measurements.outcome import Outcome, Outcomes


@overload
def evaluate(
    predictive: Any,
    attack: Attack,
    data: Data,
    *,
    epsilon: Radius | None = None,
    threat: Threat | None = None,
    images: int = 500,
    draws: int | None = None,
    seed: int = 0,
    allow_whole_box: bool = False,
    progress: bool | Progress = False,
) -> Outcome: ...


@overload
def evaluate(
    predictive: Any,
    attack: Attack,
    data: Data,
    *,
    epsilon: Sequence[Radius] | None = None,
    threat: Sequence[Threat] | None = None,
    images: int = 500,
    draws: int | None = None,
    seed: int = 0,
    allow_whole_box: bool = False,
    progress: bool | Progress = False,
) -> Outcomes: ...


@arguments.told_names
def evaluate(
    predictive: Any,
    attack: Attack,
    data: Data,
    *,
    epsilon: Radius | Sequence[Radius] | None = None,
    threat: Threat | Sequence[Threat] | None = None,
    images: int = 500,
    draws: int | None = None,
    seed: int = 0,
    allow_whole_box: bool = False,
    progress: bool | Progress = False,
) -> Outcome | Outcomes:
    """The outcome of an attack on N test images under one threat, or a list of outcomes under several.

    Args:
        predictive: a predictive, or a model of which `bnnbench.predictive` makes one, such as a torch module.
        attack: the attack.
        data: the data. Only the test sample is used. The box of the threat is that of the data.
        epsilon: the radius of an l-infinity ball in the data's units; the rest of the threat has its defaults. Exactly
            one of `epsilon` and `threat` is given. A list gives a list of outcomes, from one run of the attack.
        threat: the threat model, or a list of threat models that differ in norm and epsilon alone.
        images: the largest N. The images are the first of one fixed shuffle of the test set.
        draws: the largest number of draws that defend; all by default.
        seed: determines all random numbers (uint32).
        allow_whole_box: whether the ball may hold the whole box. Such a radius is most often one in other units.
        progress: whether a bar is shown; or a function that is called with what is done, of how much, and a note.

    Raises `TypeError` or `ValueError` for wrong arguments, a threat with another box included; `ContractBreach` if the
    attack breaks a rule or the predictive gives values that are not finite; `Incompatible` if there are too few draws;
    `GradientRefused` if the attack needs gradients, and the predictive gives none.
    """
    arguments.instance_of(attack, Attack, argument="attack", meant="an attack, such as bnnbench.attack('pgd')")
    asked = asked_of(
        "evaluate",
        predictive,
        data,
        epsilon=epsilon,
        threat=threat,
        images=images,
        draws=draws,
        seed=seed,
        allow_whole_box=allow_whole_box,
    )
    with shown_progress(progress, type(attack).__name__) as report:
        outcomes = AttackMeasurement(attack).run(asked.defence, asked.threats, "few", report)
    return Outcomes(outcomes) if asked.several else outcomes[0]
