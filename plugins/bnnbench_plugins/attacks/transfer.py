"""Attack one network in place of the ensemble, and transfer the inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bnnbench import Attack, AttackParameter, PosteriorParameter
from bnnbench_plugins.attacks.surrogates import record_broken

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim

_PGD: Any = "bnnbench:pgd"


class Transfer(Attack):
    """Transfer (Papernot et al. 2016): the inputs that another attack finds for one network with weights of the draws.

    The attacker knows the weights, but attacks a single network instead of the average over draws: the one with the
    mean of their weights, or one of the draws. Or it knows no weights, and attacks a fit of its own: of the same
    network, on the same training data, by a method of its choice, with a seed of its own. The ensemble itself is never
    asked, so no query is counted. If such inputs break more images than the same attack on the ensemble does, the
    attack on the ensemble is weak.

    Under `fresh` the surrogate is made of all draws from which queries choose. Unless the fit is the attacker's own,
    raises `GradientRefused` if the threat gives no gradients, and `Incompatible` if the draws are not weights of one
    network. The attacker's own fit is made once for each cell that runs on its own, and its time is that of the cell.
    Whether the inputs break the surrogate is recorded as the step `surrogate_broken`.
    """

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"transfer", "iterative"})

    attack: AttackParameter = Field(default=_PGD)
    """The attack on the surrogate."""
    source: Literal["mean-network", "one-draw", "posterior"] = "mean-network"
    """The surrogate. `mean-network`: the network with the mean weights of the attacker's draws. `one-draw`: the network
    of the first of these draws. `posterior`: a fit of the attacker's own, by `posterior`."""
    posterior: PosteriorParameter | None = None
    """The inference method of the attacker's own fit, on the same training data; for the source `posterior`."""

    @model_validator(mode="after")
    def _source_has_posterior(self) -> Self:
        if (self.source == "posterior") != (self.posterior is not None):
            raise ValueError("the source 'posterior' and the parameter posterior belong together")
        return self

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        surrogate, known = self._surrogate(victim, threat)
        found = self.attack.run_on(surrogate, x, y, known, rng)
        record_broken(victim, surrogate, known, found, y)
        return found

    def _surrogate(self, victim: Victim, threat: Threat) -> tuple[Victim, Threat]:
        """The victim that is attacked, and the threat under which."""
        if self.source != "posterior":
            return victim.surrogate(self.source), threat
        from bnnbench import Victim

        assert self.posterior is not None, "the source has a posterior"
        made = victim.fitted(self.posterior)
        # The attacker has its own network whole, and asks it as often as it likes.
        known = replace(threat, access="gradient", stream="fixed", attack_draws=None, queries=None)
        return Victim(made, known, range(len(made)), victim.images), known

    def stronger(self) -> Transfer | None:
        attack = self.attack.stronger()
        return None if attack is None else self.model_copy(update={"attack": attack})
