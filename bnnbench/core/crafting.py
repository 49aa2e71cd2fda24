"""Run an attack under the core's rules: what every attack must obey, whoever wrote it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bnnbench.core import seeds, streams
from bnnbench.core.attack import Attack
from bnnbench.core.predictive import Predictive
from bnnbench.core.threat import TOLERANCE, Threat
from bnnbench.core.untouched import global_state, traces
from bnnbench.core.victim import Victim
from bnnbench.errors import ContractBreach, Incompatible


@dataclass(frozen=True)
class Crafted:
    """What an attack made under one threat, and what it took.

    `inputs` (N, *shape) on the device and of the dtype of the inputs given; passes (N,) over the whole ensemble (work
    that an attack shares between threats is counted for each of them); `zero_direction` (N,) bool, None if no direction
    was asked for; `steps`, name -> (steps, N).
    """

    inputs: Tensor
    forward_passes: Tensor
    gradient_passes: Tensor
    zero_direction: Tensor | None
    steps: dict[str, Tensor]


def craft(
    attack: Attack,
    predictive: Predictive,
    x: Tensor,
    y: Tensor,
    threats: Sequence[Threat],
    *,
    seed: int,
    limit: int | None = None,
) -> list[Crafted]:
    """Attack inputs x (N, *shape) with labels y (N,) under threats that share their stream, access, goal and box.

    `limit` is the most draws that defend; under `fixed` the same ones attack. Raises `ContractBreach` if the attack
    breaks a rule, `Incompatible` if there are too few draws for the stream, `ValueError` for inputs outside the box.
    """
    _check_inputs(x, y, threats)
    first = threats[0]
    draws = streams.split(first, predictive.chains, predictive.per_chain, limit).attack
    with torch.inference_mode(False):
        # Copies: what an attack breaks must break nothing of the caller's.
        given_x = x.detach().to(predictive.device, torch.promote_types(predictive.dtype, torch.float32), copy=True)
        given_y = y.to(predictive.device, torch.long, copy=True)
        untouched = (given_x.clone(), given_y.clone(), _weights(predictive))
    victims: dict[int, Victim] = {}
    # A copy, sharing all that is large: what an attack puts into it is not there when its inputs are judged.
    shared = _SharedVictim(copy.copy(predictive), first, draws, len(x), seed, victims)
    rngs = [seeds.generator(seed, seeds.ATTACK) for _ in threats]
    # Whatever the caller's mode: gradients are there to be asked for, and nobody's random state moves.
    with torch.inference_mode(False), torch.enable_grad(), global_state(_name(attack)):
        made = attack.perturb_each(shared, given_x, given_y, list(threats), rngs)
    if not isinstance(made, list | tuple) or len(made) != len(threats):
        raise ContractBreach(f"{_name(attack)} returned no list with one batch for each threat")
    if not (torch.equal(given_x, untouched[0]) and torch.equal(given_y, untouched[1])):
        raise ContractBreach(f"{_name(attack)} changed the inputs or labels that it was given")
    if _weights(predictive) != untouched[2]:
        raise ContractBreach(f"{_name(attack)} changed the weights of the predictive")
    crafted = []
    for threat, adversarial in zip(threats, made, strict=True):
        _check_form(attack, given_x, adversarial)
        own = victims.get(id(threat))
        inputs = adversarial.detach().to(x.device, x.dtype, copy=True)
        _check_place(attack, x.detach(), inputs, threat)
        crafted.append(_crafted(inputs, [shared, own] if own else [shared]))
    return crafted


TRIAL_IMAGES, TRIAL_DRAWS = 2, 4


def check_repeatable(
    attack: Attack,
    predictive: Predictive,
    x: Tensor,
    y: Tensor,
    threats: Sequence[Threat],
    *,
    seed: int,
    limit: int | None = None,
) -> None:
    """Attack a few images with a few draws, twice; raises `ContractBreach` unless both give the same bits.

    The second time each threat stands alone, and the last one comes first: what is made under one must not depend on
    the others. It costs hundredths of the attack itself, and the first time settles what an attack does only once, such
    as imports.
    """
    few = min(TRIAL_DRAWS, limit or TRIAL_DRAWS)
    try:
        streams.split(threats[0], predictive.chains, predictive.per_chain, few)
    except Incompatible:
        few = limit or len(predictive)  # The stream needs more.
    x, y = x[:TRIAL_IMAGES], y[:TRIAL_IMAGES]
    together = craft(attack, predictive, x, y, threats, seed=seed, limit=few)
    for threat, before in reversed(list(zip(threats, together, strict=True))):
        (alone,) = craft(attack, predictive, x, y, [threat], seed=seed, limit=few)
        if not torch.equal(before.inputs, alone.inputs):
            raise ContractBreach(f"{_name(attack)} gave two results for one seed")


class _SharedVictim(Victim):
    """The victim of a whole task; remembers the one it hands out for each threat."""

    def __init__(
        self,
        predictive: Predictive,
        threat: Threat,
        draws: Sequence[int],
        images: int,
        seed: int,
        children: dict[int, Victim],
    ) -> None:
        super().__init__(predictive, threat, draws, images, seed)
        self._children = children

    def under(self, threat: Threat) -> Victim:
        if id(threat) not in self._children:
            self._children[id(threat)] = super().under(threat)
        return self._children[id(threat)]


def _crafted(inputs: Tensor, victims: Sequence[Victim]) -> Crafted:
    ledgers = [victim.ledger for victim in victims]
    # Of an image whose direction nobody followed nothing can be said, and so not of the share.
    followed = [ledger for ledger in ledgers if ledger.followed.all()]
    return Crafted(
        inputs,
        torch.stack([ledger.forward for ledger in ledgers]).sum(0),
        torch.stack([ledger.gradient for ledger in ledgers]).sum(0),
        torch.stack([ledger.zero_direction for ledger in followed]).any(0) if followed else None,
        {name: torch.stack(values) for ledger in ledgers for name, values in ledger.steps.items()},
    )


def _check_inputs(x: Tensor, y: Tensor, threats: Sequence[Threat]) -> None:
    if not threats:
        raise ValueError("no threat was given")
    if len({replace(threat, epsilon=0.0, norm="linf") for threat in threats}) > 1:
        raise ValueError("threats given together must share their box, stream, attack_draws, access and goal")
    if x.ndim < 2 or len(x) == 0 or y.shape != (len(x),):
        raise ValueError(f"inputs {tuple(x.shape)} with labels {tuple(y.shape)}: (N, *shape) and (N,) were expected")
    low, high = threats[0].bounds
    if not x.isfinite().all() or x.min() < low or x.max() > high:
        raise ValueError(f"inputs lie outside the box [{low:g}, {high:g}]")


def _check_form(attack: Attack, x: Tensor, adversarial: Any) -> None:
    if not isinstance(adversarial, Tensor):
        raise ContractBreach(f"{_name(attack)} returned {type(adversarial).__name__}, not a tensor")
    if adversarial.layout != x.layout or adversarial.device != x.device:
        found = f"a tensor of layout {adversarial.layout} on {adversarial.device}"
        raise ContractBreach(f"{_name(attack)} returned {found}, not {x.layout} on {x.device}")
    if adversarial.shape != x.shape or adversarial.dtype != x.dtype:
        found = f"{tuple(adversarial.shape)} {adversarial.dtype}"
        raise ContractBreach(f"{_name(attack)} returned {found}, not {tuple(x.shape)} {x.dtype}")


def _check_place(attack: Attack, x: Tensor, adversarial: Tensor, threat: Threat) -> None:
    if not adversarial.isfinite().all():
        raise ContractBreach(f"{_name(attack)} returned inputs that are not finite")
    low, high = threat.bounds
    # Far from zero neighbouring floats are further apart than the tolerance.
    slack = max(TOLERANCE * threat.width, 2 * torch.finfo(x.dtype).eps * max(abs(low), abs(high)))
    outside = max(low - float(adversarial.min()), float(adversarial.max()) - high)
    if outside > slack:
        raise ContractBreach(f"{_name(attack)} left the box [{low:g}, {high:g}] by {outside:.3g}")
    beyond = float((threat.distance(x, adversarial) - threat.epsilon).max())
    if beyond > slack:
        raise ContractBreach(
            f"{_name(attack)} left the {threat.norm} ball of radius {threat.epsilon:g} by {beyond:.3g}"
        )


def _weights(predictive: Predictive) -> list[tuple[int, int]]:
    return traces((*predictive.draws.values(), *predictive.shared.values()))


def _name(attack: Attack) -> str:
    return f"attack {type(attack).__module__}.{type(attack).__qualname__}"
