"""The bridge to pyautoattack."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from bnnbench_plugins.bridges.bridge import Bridge, Foreign, Run

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

TARGETS = 9
"""AutoAttack's number of target classes; fewer where there are fewer other classes."""
NORMS = frozenset({"linf", "l2", "l1"})


class PyAutoAttack(Bridge):
    """AutoAttack (Croce and Hein 2020) of the library pyautoattack: `{use: pyautoattack}`.

    `attack` is one of its versions, `standard`, `plus` and `rand`, which have no parameters, or a single attack:
    `apgd-ce`, `apgd-dlr`, `apgd-t`, `fab`, `fab-t` or `square`, with the parameters of its class. The targeted attacks
    try nine classes, or all others where there are fewer. `apgd-dlr` and `rand` need 3 classes, `apgd-t`, `standard`
    and `plus` 4, as their loss is made.
    """

    revision: ClassVar[int | None] = 1
    library: ClassVar[str] = "pyautoattack"
    module: ClassVar[str] = "pyautoattack"
    given: ClassVar[Mapping[str, Callable[[Run], Any]]] = {
        "model": lambda run: run.model,
        "predict": lambda run: run.model,
        "eps": lambda run: run.epsilon,
        "norm": lambda run: run.norm.capitalize(),
        "seed": lambda run: run.seed,
        "device": lambda run: run.x.device,
        "n_target_classes": lambda run: min(TARGETS, run.classes - 1),
    }

    attack: str = "standard"
    """A version of AutoAttack, or one of its attacks."""

    @classmethod
    def attacks_in(cls, module: Any) -> Mapping[str, Foreign]:
        from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
        from pyautoattack.fab_pt import FABAttack_PT
        from pyautoattack.square import SquareAttack

        def version(name: str) -> Callable[..., Version]:
            return partial(Version, name)

        return {
            "standard": Foreign(version("standard"), NORMS, classes=4),
            "plus": Foreign(version("plus"), NORMS, classes=4),
            "rand": Foreign(version("rand"), NORMS, classes=3),
            "apgd-ce": Foreign(partial(APGDAttack, loss="ce"), NORMS),
            "apgd-dlr": Foreign(partial(APGDAttack, loss="dlr"), NORMS, classes=3),
            "apgd-t": Foreign(APGDAttack_targeted, NORMS, classes=4),
            "fab": Foreign(FABAttack_PT, NORMS),
            "fab-t": Foreign(partial(FABAttack_PT, targeted=True), NORMS),
            "square": Foreign(SquareAttack, NORMS),
        }

    @classmethod
    def made(cls, foreign: Foreign, arguments: Mapping[str, Any], run: Run) -> Tensor:
        perturbed: Tensor = foreign.call(**arguments).perturb(run.x, run.y)
        return perturbed


class Version:
    """A version of AutoAttack, called as its single attacks are."""

    def __init__(
        self,
        version: str,
        model: nn.Module,
        eps: float,
        norm: str,
        seed: int,
        device: torch.device,
        n_target_classes: int,
    ) -> None:
        from pyautoattack import AutoAttack

        self._attack = AutoAttack(model, eps=eps, norm=norm, seed=seed, device=device, version=version)
        for part in (self._attack.apgd_targeted, self._attack.fab):
            part.n_target_classes = min(part.n_target_classes, n_target_classes)

    def perturb(self, x: Tensor, y: Tensor) -> Tensor:
        """Perturbed inputs (n, *shape), from inputs and labels (n,)."""
        traced = sys.gettrace()
        try:
            perturbed: Tensor = self._attack.run_standard_evaluation(x, y, batch_size=len(x))[0]
        finally:
            sys.settrace(traced)  # The library's check of the model sets a trace of its own, and then none.
        return perturbed
