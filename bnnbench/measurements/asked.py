"""What a program asks for when it evaluates an attack or a certificate: its arguments in the form of the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from bnnbench.core import arguments, seeds
from bnnbench.core.box import same_box
from bnnbench.core.dataset import Data
from bnnbench.core.foreign import predictive as made_predictive
from bnnbench.core.foreign import refuse_bare_layer
from bnnbench.core.given import as_threats, is_several, listed, threats_alone
from bnnbench.core.threat import Threat
from bnnbench.core.whole_box import check_radius
from bnnbench.measurements.defence import Defence

Radius = float | str
"""The radius of a ball: a number, or a fraction as text, such as `8/255`."""


class Asked(NamedTuple):
    """The defending side, the threats with the box of the data, and whether several threats were asked for."""

    defence: Defence
    threats: list[Threat]
    several: bool


def asked_of(
    function: str,
    predictive: Any,
    data: Data,
    *,
    epsilon: Radius | Sequence[Radius] | None,
    threat: Threat | Sequence[Threat] | None,
    images: int,
    draws: int | None,
    seed: int,
    allow_whole_box: bool,
) -> Asked:
    """The checked arguments of `bnnbench.evaluate` or `bnnbench.certify`; `function` is its name in messages.

    Raises `TypeError` or `ValueError` for wrong ones, a threat with another box included; `Incompatible` if there are
    too few draws; `ContractBreach` if the predictive cannot be called with the images.
    """
    from bnnbench.core.rules.first_query import classes_of

    if (epsilon is None) == (threat is None):
        raise TypeError(f"{function} takes either epsilon=, a radius, or threat=, a bnnbench.Threat")
    arguments.instance_of(data, Data, argument="data", meant="bnnbench.Data, such as bnnbench.Data(test=(x, y))")
    arguments.flag(allow_whole_box, argument="allow_whole_box")
    refuse_bare_layer(predictive)
    made, seed = made_predictive(predictive), seeds.check_seed(seed)
    if made.bounds is not None and not same_box(made.bounds, data.bounds):
        raise ValueError(f"the predictive's bounds are {list(made.bounds)}, those of the data {list(data.bounds)}")
    threats = [one.with_box(data.bounds) for one in threats_of(epsilon, threat)]
    for one in threats:
        check_radius(one, data.bounds, data.shape, allow_whole_box=allow_whole_box)
    images = arguments.integer(images, argument="images", least=1)
    draws = None if draws is None else arguments.integer(draws, argument="draws", least=1)
    classes_of(made, data.test[0])
    defence = Defence(made, data, threats[0], images=images, draws=draws, seed=seed)
    return Asked(defence, threats, is_several(epsilon if threat is None else threat))


def threats_of(epsilon: Any, threat: Any) -> list[Threat]:
    """The threats of the arguments `epsilon` and `threat`, one of which is None. Raises as `asked_of` does."""
    if threat is not None:
        return as_threats(threats_alone(threat), argument="threat")
    radii = listed(epsilon, "epsilon")
    if any(isinstance(one, Threat) for one in radii):
        raise TypeError("epsilon is a radius, not a Threat; give it as threat=")
    return as_threats(radii, argument="epsilon")
