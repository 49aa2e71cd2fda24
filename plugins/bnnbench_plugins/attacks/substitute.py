"""Attack a network that was trained on the ensemble's decisions, and transfer the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from bnnbench import Attack, AttackParameter
from bnnbench_plugins.attacks.query_budget import allowed_queries

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat, Victim
    from bnnbench_plugins.attacks.substitute_network import Decided, Training

_APGD: Any = "bnnbench:apgd"


class Substitute(Attack):
    """A substitute (Papernot et al. 2017): a network is trained on predicted classes alone, and attacked instead.

    The attacker asks for the predicted classes at the given inputs and trains a fully connected network on them. Each
    round then moves every point by a step along the sign of the gradient of the network's logit of the point's class
    (Jacobian-based augmentation), asks for the classes at the new points, and trains a new network on all of them. The
    result is what `attack` finds for the last network.

    The substitute is trained on the points of all images, so the result for an image depends on the other images. An
    image costs 2 ** `rounds` queries at most; where fewer are allowed, the first points of the last round are asked.
    In the paper, the attacker chooses the first points and the sign of the steps changes; here neither is so. Whether
    the inputs break the substitute is recorded as the step `surrogate_broken`.
    """

    revision: ClassVar[int | None] = 2
    traits: ClassVar[frozenset[str]] = frozenset({"gradient-free", "transfer"})

    attack: AttackParameter = Field(default=_APGD)
    """The attack on the substitute."""
    queries: int = Field(default=32, ge=1)
    """Largest number of queries for each image. A smaller budget of the threat holds instead."""
    rounds: int = Field(default=5, ge=0, le=16)
    """Rounds of augmentation; each doubles the number of points."""
    step: float = Field(default=0.1, gt=0)
    """Length of a step of the augmentation in each coordinate, in widths of the box."""
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(64, 64), max_length=5)
    """Units of each hidden layer of the substitute."""
    epochs: int = Field(default=10, ge=1)
    """Passes over all points of each training."""
    batch_size: int = Field(default=64, ge=1)
    """Points of a minibatch."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Step size of the optimizer, Adam."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        return self.perturb_each(victim, x, y, [threat], [rng])[0]

    def perturb_each(
        self, victim: Victim, x: Tensor, y: Tensor, threats: Sequence[Threat], rngs: Sequence[torch.Generator]
    ) -> list[Tensor]:
        from bnnbench import Victim
        from bnnbench_plugins.attacks.substitute_network import Training, forked
        from bnnbench_plugins.attacks.surrogates import record_broken

        # All generators are in one state, so one substitute is that of each threat.
        generators = [forked(rng) for rng in rngs]
        training = Training(
            self.hidden,
            self.epochs,
            self.batch_size,
            self.learning_rate,
            threats[0].box,
            max(y.tolist(), default=0),
            generators[0],
        )
        decided = self._decided(victim, x, threats[0], training)
        if not decided:
            return [x.clone() for _ in threats]
        substitute = training.predictive(decided)
        found = []
        for threat, rng in zip(threats, rngs, strict=True):
            known = replace(threat, access="gradient", stream="fixed", attack_draws=None, queries=None)
            asked = Victim(substitute, known, [0], len(x))
            found.append(self.attack.run_on(asked, x, y, known, rng))
            record_broken(victim.under(threat), asked, known, found[-1], y)
        return found

    def _decided(self, victim: Victim, x: Tensor, threat: Threat, training: Training) -> list[Decided]:
        """The points that were asked, batch by batch, with their predicted classes."""
        from bnnbench_plugins.attacks.substitute_network import Decided, along

        left = allowed_queries(victim, self.queries, x)

        def ask(at: Tensor, points: Tensor) -> Decided:
            left[at] -= 1
            return Decided(at, points, victim.among(at).decisions(points))

        at = (left > 0).nonzero()[:, 0]
        decided = [ask(at, x[at])] if len(at) else []
        for _ in range(self.rounds):
            if not (left > 0).any():
                break
            network = training.network(decided)
            for batch in list(decided):
                again = batch.among(left[batch.at] > 0)
                if len(again.at):
                    decided.append(ask(again.at, along(network, again, self.step, threat.box)))
        return decided

    def stronger(self) -> Substitute:
        return self.model_copy(update={"rounds": min(self.rounds + 1, 16), "queries": 2 * self.queries})
