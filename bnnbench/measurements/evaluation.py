"""Evaluate an attack on a predictive from a program, without a benchmarks file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from bnnbench.core import arguments, seeds
from bnnbench.core.attack import Attack
from bnnbench.core.box import same_box
from bnnbench.core.dataset import Data
from bnnbench.core.draws import Progress
from bnnbench.core.foreign import predictive as made_predictive
from bnnbench.core.foreign import refuse_bare_layer
from bnnbench.core.given import as_threats, is_several, threats_alone
from bnnbench.core.progress_bar import shown_progress
from bnnbench.core.threat import Threat
from bnnbench.core.whole_box import check_radius
from bnnbench.measurements.attack import AttackMeasurement
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.outcome import Outcome, Outcomes

Radius = float | str
"""The radius of a ball: a number, or a fraction as text, such as `8/255`."""


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
    from bnnbench.core.rules.first_query import classes_of

    if (epsilon is None) == (threat is None):
        raise TypeError("evaluate takes either epsilon=, a radius, or threat=, a bnnbench.Threat")
    arguments.instance_of(attack, Attack, argument="attack", meant="an attack, such as bnnbench.attack('pgd')")
    arguments.instance_of(data, Data, argument="data", meant="bnnbench.Data, such as bnnbench.Data(test=(x, y))")
    arguments.flag(allow_whole_box, argument="allow_whole_box")
    refuse_bare_layer(predictive)
    made, seed = made_predictive(predictive), seeds.check_seed(seed)
    if made.bounds is not None and not same_box(made.bounds, data.bounds):
        raise ValueError(f"the predictive's bounds are {list(made.bounds)}, those of the data {list(data.bounds)}")
    threats = [one.with_box(data.bounds) for one in _threats(epsilon, threat)]
    for one in threats:
        check_radius(one, data.bounds, data.shape, allow_whole_box=allow_whole_box)
    images = arguments.integer(images, argument="images", least=1)
    draws = None if draws is None else arguments.integer(draws, argument="draws", least=1)
    classes_of(made, data.test[0])
    defence = Defence(made, data, threats[0], images=images, draws=draws, seed=seed)
    with shown_progress(progress, type(attack).__name__) as report:
        outcomes = AttackMeasurement(attack).run(defence, threats, "few", report)
    return Outcomes(outcomes) if is_several(epsilon if threat is None else threat) else outcomes[0]


def _threats(epsilon: Any, threat: Any) -> list[Threat]:
    """The threats of the arguments `epsilon` and `threat`, one of which is None. Raises as `evaluate` does."""
    if threat is not None:
        return as_threats(threats_alone(threat), argument="threat")
    radii = list(epsilon) if is_several(epsilon) else [epsilon]
    if any(isinstance(one, Threat) for one in radii):
        raise TypeError("epsilon is a radius, not a Threat; give it as threat=")
    return as_threats(radii, argument="epsilon")
