"""The bridge to Foolbox."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bnnbench_plugins.bridges.bridge import Bridge, Foreign, P, Run

if TYPE_CHECKING:
    from torch import Tensor


def _distance(run: Run) -> Any:
    from foolbox.distances import LpDistance

    return LpDistance(P[run.norm])


class Foolbox(Bridge):
    """An attack of Foolbox, by the name of its class in `foolbox.attacks`: `{use: foolbox, attack: LinfPGD}`.

    Attacks that take a radius are run for each radius, and their result is the one that Foolbox has clipped to it. Of
    the others, which look for the nearest input, one run serves all radii. The norm is that of the attack; those that
    take a `distance` or a `constraint` have the threat's.
    """

    revision: ClassVar[int | None] = 1
    library: ClassVar[str] = "foolbox"
    module: ClassVar[str] = "foolbox"
    given: ClassVar[Mapping[str, Callable[[Run], Any]]] = {"distance": _distance, "constraint": lambda run: run.norm}

    attack: str = "LinfPGD"
    """The name of the class in `foolbox.attacks`."""

    @classmethod
    def attacks_in(cls, module: Any) -> Mapping[str, Foreign]:
        base, steps = module.attacks.base, module.attacks.gradient_descent_base.BaseGradientDescent
        radius, nearest = base.FixedEpsilonAttack, base.MinimizationAttack
        return {
            name: Foreign(one, _norms(one), nearest=issubclass(one, nearest), stops_early=not issubclass(one, steps))
            for name, one in vars(module.attacks).items()
            if inspect.isclass(one) and issubclass(one, (radius, nearest)) and not inspect.isabstract(one)
        }

    @classmethod
    def made(cls, foreign: Foreign, arguments: Mapping[str, Any], run: Run) -> Tensor:
        foolbox = cls.imported()
        model = foolbox.PyTorchModel(run.model, bounds=(0, 1), device=run.x.device)
        _, clipped, _ = foreign.call(**arguments)(model, run.x, run.y, epsilons=run.epsilon)
        return clipped


def _norms(attack: Any) -> frozenset[str]:
    """The norms that a class of Foolbox is made for."""
    taken = inspect.signature(attack).parameters
    if "distance" in taken:
        return frozenset(P)
    if "constraint" in taken:
        return frozenset({"linf", "l2"})
    distance = attack.distance
    if isinstance(distance, property):
        try:
            distance = attack().distance
        except (AttributeError, TypeError, ValueError):
            return frozenset()  # It has no distance, or cannot be made without parameters.
    return frozenset(norm for norm, p in P.items() if p == distance.p)
