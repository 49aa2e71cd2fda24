"""The bridge to adv-lib."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bnnbench_plugins.bridges.bridge import Bridge, Foreign, P, Run

if TYPE_CHECKING:
    from torch import Tensor

NORMS = {
    "alma": ("l2", "l1"),
    "apgd": ("linf", "l2", "l1"),
    "apgd_targeted": ("linf", "l2", "l1"),
    "carlini_wagner_l2": ("l2",),
    "carlini_wagner_linf": ("linf",),
    "ddn": ("l2",),
    "df": ("linf", "l2"),
    "fab": ("linf", "l2", "l1"),
    "fmn": ("linf", "l2", "l1"),
    "pdgd": ("l2",),
    "pdpgd": ("linf", "l2", "l1"),
    "pgd_linf": ("linf",),
    "sdf": ("l2",),
    "tr": ("linf", "l2"),
}
"""The norms of each function that has one of ours; its signature does not say which."""
RADII = ("eps", "ε")
"""The names of parameters that are radii."""


class AdvLib(Bridge):
    """An attack of adv-lib, by the name of its function in `adv_lib.attacks`: `{use: adv-lib, attack: apgd_targeted}`.

    `apgd`, `apgd_targeted` and `pgd_linf` take a radius. The others look for the nearest input, and one run serves all
    radii. Attacks for the l0 norm, for structured and for perceptual distances are left out.
    """

    revision: ClassVar[int | None] = 1
    library: ClassVar[str] = "adv-lib"
    module: ClassVar[str] = "adv_lib.attacks"
    given: ClassVar[Mapping[str, Callable[[Run], Any]]] = {
        "model": lambda run: run.model,
        "inputs": lambda run: run.x,
        "labels": lambda run: run.y,
        "eps": lambda run: run.epsilon,
        "ε": lambda run: run.epsilon,
        "norm": lambda run: P[run.norm],
        "p": lambda run: P[run.norm],
        "distance": lambda run: run.norm,
        "targeted": lambda run: False,
        "callback": lambda run: None,
    }

    attack: str = "apgd"
    """The name of the function in `adv_lib.attacks`."""

    @classmethod
    def attacks_in(cls, module: Any) -> Mapping[str, Foreign]:
        return {
            name: Foreign(one, frozenset(NORMS.get(name, ())), nearest=_nearest(one))
            for name, one in vars(module).items()
            if inspect.isfunction(one)
        }

    @classmethod
    def made(cls, foreign: Foreign, arguments: Mapping[str, Any], run: Run) -> Tensor:
        perturbed: Tensor = foreign.call(**arguments)
        return perturbed


def _nearest(attack: Callable[..., Any]) -> bool:
    """Whether a function of adv-lib takes no radius, or need not be given one."""
    taken = inspect.signature(attack).parameters
    return not any(name in taken and taken[name].default is inspect.Parameter.empty for name in RADII)
