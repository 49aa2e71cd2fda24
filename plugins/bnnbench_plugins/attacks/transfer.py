"""Attack one network in place of the ensemble, and transfer the inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bnnbench import Attack, AttackParameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim

_PGD: Any = "bnnbench:pgd"


class Transfer(Attack):
    """Transfer (Papernot et al. 2016): the inputs that another attack finds for one network with weights of the draws.

    The attacker knows the weights, but attacks a single network instead of the average over draws: the one with the
    mean of their weights, or one of the draws. The ensemble itself is never asked, so no query is counted. If such
    inputs break more images than the same attack on the ensemble does, the attack on the ensemble is weak.

    Under `fresh` the surrogate is made of all draws from which queries choose. Raises `GradientRefused` unless the
    threat gives gradients, and `Incompatible` if the draws are not weights of one network.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"transfer", "iterative"})

    attack: AttackParameter = Field(default=_PGD)
    """The attack on the surrogate."""
    source: Literal["mean-network", "one-draw"] = "mean-network"
    """The surrogate. `mean-network`: the network with the mean weights of the attacker's draws. `one-draw`: the network
    of the first of these draws."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        return self.attack.run_on(victim.surrogate(self.source), x, y, threat, rng)

    def stronger(self) -> Transfer | None:
        attack = self.attack.stronger()
        return None if attack is None else self.model_copy(update={"attack": attack})
