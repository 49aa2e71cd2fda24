"""Attacks: an author writes `perturb`; the core owns the rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, final, overload

from bnnbench.core.component import Component

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench.core.predictive import Predictive
    from bnnbench.core.threat import Threat
    from bnnbench.core.victim import Victim


class Attack(Component):
    """Parameters that perturb inputs of a victim under a threat.

    An author writes `perturb` and returns inputs; the core alone checks them against ball and box and scores them.
    """

    kind: ClassVar[str] = "attack"
    traits: ClassVar[frozenset[str]] = frozenset()
    """Some of `single-step`, `iterative`, `noise`, `gradient-free`, `minimal-norm`, `transfer`."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """Perturbed inputs, of x's shape and dtype, inside the threat's ball around x and its box.

        Args: inputs x (N, *shape) and labels y (N,), all at once; `rng` is a CPU generator, the only randomness to use.
        """
        raise NotImplementedError

    def perturb_each(
        self, victim: Victim, x: Tensor, y: Tensor, threats: Sequence[Threat], rngs: Sequence[torch.Generator]
    ) -> list[Tensor]:
        """Perturbed inputs for each of several threats that differ in norm or epsilon alone.

        Override where work can be shared; what is then asked of `victim` is shared by all, what is asked of
        `victim.under(threat)` is that threat's own.
        """
        return [
            self.perturb(victim.under(threat), x, y, threat, rng) for threat, rng in zip(threats, rngs, strict=True)
        ]

    @property
    def stops_early(self) -> bool:
        """Whether an image is left alone once it is misclassified: its perturbed input then is not the worst one, and
        figures that depend on how wrong it is (softmax robustness, uncertainty) are not given."""
        return False

    def stronger(self) -> Attack | None:
        """The same attack with about twice the effort, or None if there is no such thing."""
        return None

    @overload
    def __call__(self, predictive: Predictive, x: Tensor, y: Tensor, threat: Threat, *, seed: int = 0) -> Tensor: ...

    @overload
    def __call__(
        self, predictive: Predictive, x: Tensor, y: Tensor, threat: Sequence[Threat], *, seed: int = 0
    ) -> list[Tensor]: ...

    @final
    def __call__(
        self, predictive: Predictive, x: Tensor, y: Tensor, threat: Threat | Sequence[Threat], *, seed: int = 0
    ) -> Tensor | list[Tensor]:
        """Perturb inputs x (N, *shape) with labels y (N,) under the core's rules; a list of threats gives a list.

        All draws of the predictive attack (of the stream's, under another stream than `fixed`). Raises
        `ContractBreach` if the attack breaks a rule, `ValueError` if x lies outside the box.
        """
        from bnnbench.core.crafting import craft

        if not isinstance(threat, Sequence):
            return craft(self, predictive, x, y, [threat], seed=seed)[0].inputs
        return [one.inputs for one in craft(self, predictive, x, y, list(threat), seed=seed)]
