"""Run an attack under the rules that every attack must obey."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from bnnbench.core import seeds
from bnnbench.core.ensemble import draw_split
from bnnbench.core.ledger import Ledger, steps_of
from bnnbench.core.local_modules import name_in_messages
from bnnbench.core.predictive import Predictive
from bnnbench.core.rules.checksums import Unchanged
from bnnbench.core.rules.purity import global_state, processor_times
from bnnbench.core.rules.random_operations import no_global_draws
from bnnbench.core.rules.repetition import repeats
from bnnbench.core.threat import TOLERANCE, Threat
from bnnbench.core.victim import Victim
from bnnbench.errors import ContractBreach, Incompatible

MINIMAL_NORM = "minimal-norm"
"""The trait of attacks that look for the nearest input that reaches the goal, whatever its distance."""


class Attacker(Protocol):
    """What the rules need of an attack; `Attack` is one."""

    traits: ClassVar[frozenset[str]]

    def perturb_each(
        self, victim: Victim, x: Tensor, y: Tensor, threats: Sequence[Threat], rngs: Sequence[torch.Generator]
    ) -> list[Tensor]:
        """Perturbed inputs for each threat."""


@dataclass(frozen=True)
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


def craft(
    attack: Attacker,
    predictive: Predictive,
    x: Tensor,
    y: Tensor,
    threats: Sequence[Threat],
    *,
    seed: int,
    limit: int | None = None,
) -> list[Crafted]:
    """Attack inputs x (N, *shape) with labels y (N,) under threats that differ in norm and epsilon alone.

    `limit` is the largest number of draws that defend; under `fixed` the same ones attack. Raises `ContractBreach` if
    the attack breaks a rule, `Incompatible` if there are too few draws for the stream, `ValueError` for inputs outside
    the box.
    """
    _check_inputs(x, y, threats)
    if MINIMAL_NORM not in attack.traits:
        return _perturbed(attack, predictive, x, y, threats, seed, limit)
    # Such an attack never sees the radii, and each norm is a run of its own: one run serves all radii, and its result
    # under one threat cannot depend on which others are asked for.
    widest = {threat.norm: threat.at_any_distance(tuple(x.shape[1:])) for threat in threats}
    runs = {norm: _perturbed(attack, predictive, x, y, [wide], seed, limit)[0] for norm, wide in widest.items()}
    return [
        replace(runs[threat.norm], inputs=_within_radius(x.detach(), runs[threat.norm].inputs, threat))
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
) -> list[Crafted]:
    """Run `perturb_each` once, and check what it returns and leaves behind."""
    draws = draw_split.split(threats[0], predictive.chains, predictive.per_chain, limit).attack
    with torch.inference_mode(False):
        # Copies: an attack that changes its arguments must not change the caller's tensors.
        given_x = x.detach().to(predictive.device, torch.promote_types(predictive.dtype, torch.float32), copy=True)
        given_y = y.to(predictive.device, torch.long, copy=True)
        untouched = (given_x.clone(), given_y.clone())
        weights = _weights(predictive)
        weights.begin()
    # A copy that shares all large tensors: attributes that the attack sets are gone when its inputs are judged.
    victim = Victim(copy.copy(predictive), threats[0], draws, len(x), seed)
    rngs = [seeds.torch_generator(seed, seeds.ATTACK) for _ in threats]
    # Gradients are available whatever the caller's mode, and the global random states stay as they are.
    with torch.inference_mode(False), torch.enable_grad(), global_state(_name(attack)):
        made = attack.perturb_each(victim, given_x, given_y, list(threats), rngs)
    if not isinstance(made, list | tuple) or len(made) != len(threats):
        raise ContractBreach(f"{_name(attack)} returned no list with one batch for each threat")
    if not (torch.equal(given_x, untouched[0]) and torch.equal(given_y, untouched[1])):
        raise ContractBreach(f"{_name(attack)} changed the inputs or labels that it was given")
    if not weights.holds():
        raise ContractBreach(f"{_name(attack)} changed the weights of the predictive")
    crafted = []
    for threat, adversarial in zip(threats, made, strict=True):
        _check_form(attack, given_x, adversarial)
        inputs = adversarial.detach().to(x.device, x.dtype, copy=True)
        _check_place(attack, x.detach(), inputs, threat)
        crafted.append(_crafted(inputs, victim.ledgers(threat)))
    return crafted


def _within_radius(x: Tensor, nearest: Tensor, threat: Threat) -> Tensor:
    """The nearest inputs found where they lie in the threat's ball, and their projections into the ball elsewhere."""
    inside = threat.distance(x, nearest) <= threat.epsilon
    return nearest.where(inside.view(-1, *[1] * (x.ndim - 1)), threat.project(x, nearest))


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
    with _watched(_name(attack)):
        together = craft(attack, predictive, x, y, threats, seed=seed, limit=few)
    for threat, before in reversed(list(zip(threats, together, strict=True))):
        with _watched(_name(attack)):
            (alone,) = craft(attack, predictive, x, y, [threat], seed=seed, limit=few)
        if not repeats(x, before.inputs, alone.inputs, predictive.device):
            raise ContractBreach(f"{_name(attack)} gave two results for one seed")


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
    if not x.isfinite().all() or x.min() < low or x.max() > high:
        raise ValueError(f"inputs lie outside the box [{low:g}, {high:g}]")


def _check_form(attack: Attacker, x: Tensor, adversarial: Any) -> None:
    if not isinstance(adversarial, Tensor):
        raise ContractBreach(f"{_name(attack)} returned {type(adversarial).__name__}, not a tensor")
    if adversarial.layout != x.layout or adversarial.device != x.device:
        found = f"a tensor of layout {adversarial.layout} on {adversarial.device}"
        raise ContractBreach(f"{_name(attack)} returned {found}, not {x.layout} on {x.device}")
    if adversarial.shape != x.shape or adversarial.dtype != x.dtype:
        found = f"{tuple(adversarial.shape)} {adversarial.dtype}"
        raise ContractBreach(f"{_name(attack)} returned {found}, not {tuple(x.shape)} {x.dtype}")


def _check_place(attack: Attacker, x: Tensor, adversarial: Tensor, threat: Threat) -> None:
    if not adversarial.isfinite().all():
        raise ContractBreach(f"{_name(attack)} returned inputs that are not finite")
    low, high = threat.box
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


def _weights(predictive: Predictive) -> Unchanged:
    """What checks the weights of a predictive: one for all attacks on it."""
    if predictive not in _CHECKED:
        _CHECKED[predictive] = Unchanged(predictive.draws, predictive.shared)
    return _CHECKED[predictive]


_CHECKED: weakref.WeakKeyDictionary[Predictive, Unchanged] = weakref.WeakKeyDictionary()


def _name(attack: Attacker) -> str:
    return f"attack {name_in_messages(type(attack))}"
