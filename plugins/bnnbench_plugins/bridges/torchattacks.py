"""The bridge to torchattacks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bnnbench_plugins.bridges.bridge import Bridge, Foreign, Run

if TYPE_CHECKING:
    from torch import Tensor

NORMS = {"Linf": "linf", "L2": "l2", "L1": "l1"}
"""Our names of norms by those of torchattacks."""
RADII = ("eps", "max_epsilon")
"""The names of parameters that are radii."""
MEASURE = re.compile(r"Distance Measure : ([^\n]*)")
"""The line of a docstring of torchattacks that names the norms of an attack, such as `Linf, L2`."""


def _from_zero(run: Run) -> Any:
    """The model with logits of zero and more: the margin of torchattacks' CW is wrong for negative ones."""
    from torch import nn

    class FromZero(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = run.model

        def forward(self, x: Tensor) -> Tensor:
            log_probs: Tensor = self.model(x)
            return log_probs - log_probs.detach().amin(-1, keepdim=True)

    return FromZero().eval()


class TorchAttacks(Bridge):
    """An attack of torchattacks, by the name of its class: `{use: torchattacks, attack: PGD, parameters: {steps: 20}}`.

    The norms are those that the class's description names; attacks for the l0 norm, and what bounds nothing, are left
    out. Attacks without a radius look for the nearest input, and one run serves all radii. The default length of a
    step, `alpha`, is absolute, 2/255 for most attacks, and does not follow the radius.
    """

    revision: ClassVar[int | None] = 1
    library: ClassVar[str] = "torchattacks"
    module: ClassVar[str] = "torchattacks"
    given: ClassVar[Mapping[str, Callable[[Run], Any]]] = {
        "model": _from_zero,
        "eps": lambda run: run.epsilon,
        "max_epsilon": lambda run: run.epsilon,
        "norm": lambda run: run.norm.capitalize(),
        "seed": lambda run: run.seed,
        "n_classes": lambda run: run.classes,
    }

    attack: str = "PGD"
    """The name of the class in `torchattacks`."""

    @classmethod
    def attacks_in(cls, module: Any) -> Mapping[str, Foreign]:
        return {name: _foreign(getattr(module, name)) for name in module.__all__ if name not in module.__wrapper__}

    @classmethod
    def made(cls, foreign: Foreign, arguments: Mapping[str, Any], run: Run) -> Tensor:
        perturbed: Tensor = foreign.call(**arguments)(run.x, run.y)
        return perturbed


def _foreign(attack: Any) -> Foreign:
    taken = inspect.signature(attack).parameters
    named = MEASURE.search(attack.__doc__ or "")
    norms = frozenset(NORMS[norm] for norm in named[1].split(", ") if norm in NORMS) if named else frozenset()
    # Those that follow a choice of norm are AutoAttack and its parts, which leave broken images alone.
    nearest = not any(name in taken for name in RADII)
    return Foreign(attack, norms, nearest=nearest, stops_early=nearest or "norm" in taken)
