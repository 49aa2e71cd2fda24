"""Run an attack under the rules that every attack must obey."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bnnbench.core import seeds
from bnnbench.core.box import rounding
from bnnbench.core.changes import processor_times
from bnnbench.core.ensemble import batching, draw_split
from bnnbench.core.ensemble.chunks import usable
from bnnbench.core.ledger import Ledger, steps_of
from bnnbench.core.predictive import Predictive
from bnnbench.core.rules.attack_result import (
    MINIMAL_NORM,
    Attacker,
    check_form,
    check_place,
    name_of,
    perturbed,
    within_radius,
)
from bnnbench.core.rules.checksums import Unchanged
from bnnbench.core.rules.purity import global_state
from bnnbench.core.rules.random_operations import no_global_draws
from bnnbench.core.rules.repetition import repeats
from bnnbench.core.standard_settings import standard_settings
from bnnbench.core.threat import Threat
from bnnbench.core.victim import OwnFits, Victim
from bnnbench.errors import ContractBreach, Incompatible


@dataclass(frozen=True, eq=False)
class Crafted:
    """The result of an attack under one threat.

    `inputs` (N, *shape) are on the device and of the dtype of the given inputs. `forward_passes` and `gradient_passes`
    (N,) count queries of the whole ensemble; work that an attack shares between threats is counted for each of them.
    `zero_direction` (N,) bool is None if no direction was asked for. `steps`: name -> (steps, N).
    """

    inputs: Tensor
    forward_passes: Tensor
    gradient_passes: Tensor
    zero_direction: Tensor | None
    steps: dict[str, Tensor]


@standard_settings()
def craft(
    attack: Attacker,
    predictive: Predictive,
    x: Tensor,
    y: Tensor,
    threats: Sequence[Threat],
    *,
    seed: int,
    limit: int | None = None,
    own_fits: OwnFits | None = None,
) -> list[Crafted]:
    """Attack inputs x (N, *shape) with labels y (N,) under threats that differ in norm and epsilon alone.

    `limit` is the largest number of draws that defend; under `fixed` the same ones attack. `own_fits` are those of the
    attacker. Raises `ContractBreach` if the attack breaks a rule, `Incompatible` if there are too few draws for the
    stream or the attack cannot pursue the goal, `ValueError` for inputs outside the box.
    """
    _check_inputs(x, y, threats)
    classes = batching.footprint(predictive, x[:1].to(predictive.device, predictive.dtype)).classes
    y = threats[0].aim.aims(y, classes)
    if MINIMAL_NORM not in attack.traits:
        return _perturbed(attack, predictive, x, y, threats, seed, limit, own_fits)
    # Such an attack never sees the radii, and each norm is a run of its own: one run serves all radii, and its result
    # under one threat cannot depend on which others are asked for.
    widest = {threat.norm: threat.at_any_distance(tuple(x.shape[1:])) for threat in threats}
    runs = {
        norm: _perturbed(attack, predictive, x, y, [wide], seed, limit, own_fits)[0] for norm, wide in widest.items()
    }
    return [
        replace(runs[threat.norm], inputs=within_radius(x.detach(), runs[threat.norm].inputs, threat))
        for threat in threats
    ]


def _perturbed(
    attack: Attacker,
    predictive: Predictive,
    x: Tensor,
    y: Tensor,
    threats: Sequence[Threat],
    seed: int,
    limit: int | None,
    own_fits: OwnFits | None,
) -> list[Crafted]:
    """Run `perturb_each` once, and check what it returns and leaves behind. `y` (N,) are the aims of the goal."""
    draws = draw_split.split(threats[0], predictive.chains, predictive.per_chain, limit).attack
    with standard_settings():
        given_x = usable(x.detach().to(predictive.device, torch.promote_types(predictive.dtype, torch.float32)))
        given_y = usable(y.to(predictive.device, torch.long))
        weights = _weights(predictive)
        weights.begin()
    # A copy that shares all large tensors: attributes that the attack sets are gone when its inputs are judged.
    victim = Victim(copy.copy(predictive), threats[0], draws, len(x), seed, own_fits)
    rngs = [seeds.torch_generator(seed, seeds.ATTACK) for _ in threats]
    # The host's settings do not matter, and the global random states stay as they are.
    with standard_settings(), global_state(name_of(attack)):
        made = perturbed(attack, victim, given_x, given_y, threats, rngs)
    if not weights.holds():
        raise ContractBreach(f"{name_of(attack)} changed the weights of the predictive")
    crafted = []
    for threat, adversarial in zip(threats, made, strict=True):
        check_form(attack, given_x, adversarial)
        inputs = adversarial.detach().to(x.device, x.dtype, copy=True)
        check_place(attack, x.detach(), inputs, threat)
        crafted.append(_crafted(inputs, victim.ledgers(threat)))
    return crafted


TRIAL_IMAGES, TRIAL_DRAWS = 2, 4


def check_repeatable(
    attack: Attacker,
    predictive: Predictive,
    x: Tensor,
    y: Tensor,
    threats: Sequence[Threat],
    *,
    seed: int,
    limit: int | None = None,
    own_fits: OwnFits | None = None,
) -> None:
    """Attack a few images with a few draws, twice; raises `ContractBreach` unless both give the same result.

    The same result means the same bits on a CPU, and agreement up to rounding on other devices. The second time each
    threat stands alone, and the last one comes first: what is made under one must not depend on the others. It costs
    hundredths of the attack itself, and the first time settles what an attack does only once, such as imports.

    In a process with other threads, `global_state` cannot tell which thread drew from torch's global generators. There
    the operations of these runs are watched instead, after those of one prediction: a draw by the predictive must not
    be reported as the attack's.
    """
    few = min(TRIAL_DRAWS, limit or TRIAL_DRAWS)
    try:
        draw_split.split(threats[0], predictive.chains, predictive.per_chain, few)
    except Incompatible:
        few = limit or len(predictive)  # The stream needs more.
    x, y = x[:TRIAL_IMAGES], y[:TRIAL_IMAGES]
    if processor_times():
        with _watched(predictive.described):
            predictive.draw_log_probs(x, slice(few))
    with _watched(name_of(attack)):
        together = craft(attack, predictive, x, y, threats, seed=seed, limit=few, own_fits=own_fits)
    for threat, before in reversed(list(zip(threats, together, strict=True))):
        with _watched(name_of(attack)):
            (alone,) = craft(attack, predictive, x, y, [threat], seed=seed, limit=few, own_fits=own_fits)
        if not repeats(x, before.inputs, alone.inputs, predictive.device):
            raise ContractBreach(f"{name_of(attack)} gave two results for one seed")


def _watched(name: str) -> AbstractContextManager[None]:
    return no_global_draws(name) if processor_times() else nullcontext()


def _crafted(inputs: Tensor, ledgers: Sequence[Ledger]) -> Crafted:
    followed = [ledger.zero_direction for ledger in ledgers if ledger.followed]
    return Crafted(
        inputs,
        torch.stack([ledger.forward for ledger in ledgers]).sum(0),
        torch.stack([ledger.gradient for ledger in ledgers]).sum(0),
        torch.stack(followed).any(0) if followed else None,
        steps_of(ledgers),
    )


def _check_inputs(x: Tensor, y: Tensor, threats: Sequence[Threat]) -> None:
    if not threats:
        raise ValueError("no threat was given")
    if not all(threat.differs_in_radius_alone(threats[0]) for threat in threats):
        raise ValueError("threats given together must differ in norm and epsilon alone")
    if x.ndim < 2 or len(x) == 0 or y.shape != (len(x),):
        raise ValueError(f"inputs {tuple(x.shape)} with labels {tuple(y.shape)}: (N, *shape) and (N,) were expected")
    low, high = threats[0].box
    slack = rounding(low, high)
    if not x.isfinite().all() or x.min() < low - slack or x.max() > high + slack:
        raise ValueError(f"inputs lie outside the box [{low:g}, {high:g}]")


def _weights(predictive: Predictive) -> Unchanged:
    """What checks the weights of a predictive: one for all attacks on it."""
    if predictive not in _CHECKED:
        _CHECKED[predictive] = Unchanged(predictive.draws, predictive.shared)
    return _CHECKED[predictive]


_CHECKED: weakref.WeakKeyDictionary[Predictive, Unchanged] = weakref.WeakKeyDictionary()
