"""A predictive as an attack may query it under a threat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bnnbench.core.access import check_differentiable, check_gradients, check_scores
from bnnbench.core.attributed import Attributed
from bnnbench.core.ensemble import draw_split
from bnnbench.core.followed import followed
from bnnbench.core.objective import Objective, as_objective, value_of
from bnnbench.core.predictive import Predictive
from bnnbench.core.surrogate import Source, surrogate_of
from bnnbench.core.threat import Threat
from bnnbench.errors import Incompatible

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench.core.ensemble.directions import Probe
    from bnnbench.core.posterior import Posterior

OwnFits = Callable[["Posterior"], Predictive | None]
"""A function that gives the attacker's own fit of a posterior; None if it has none."""


class Victim(Attributed):
    """A predictive as an attacker may query it: with the draws of the threat's stream, and with every query counted.

    A victim belongs to N images, and the inputs of a query are candidates for these images, in their order. An attack
    can run another attack on some of the images, on the victim `among(positions)`; queries, zero directions and steps
    are recorded for the right images at any depth. A query with another number of inputs than N cannot be attributed to
    images, and its cost is spread over all of them.

    Under other goals than `untargeted`, `y` is what the attack got as such, such as the targets, and values, gradients
    and directions are those of the function whose growth leads to the goal (`core/followed.py`).

    Every query raises `QueriesSpent` if it exceeds the threat's `queries` for an image. `len(victim)` is the number of
    draws that one query evaluates.

    Args:
        predictive: the ensemble.
        threat: the threat.
        draws: the positions of the draws that the attacker may see.
        images: the number N of images.
        seed: determines the draws of each query under the stream `fresh`.
        own_fits: the fits that the attacker has made itself; by default none.
    """

    def __init__(
        self,
        predictive: Predictive,
        threat: Threat,
        draws: Sequence[int],
        images: int,
        seed: int = 0,
        own_fits: OwnFits | None = None,
    ) -> None:
        super().__init__(threat, images, seed)
        self._predictive, self._draws, self._own_fits = predictive, draws, own_fits

    def __len__(self) -> int:
        """The number of draws that one query evaluates."""
        return min(draw_split.draws_per_query(self._threat, self._draws), len(self._draws))

    def surrogate(self, source: Source) -> Victim:
        """A victim for the same images and threat, whose ensemble is one network that the attacker has made.

        With the source `mean-network` its weights are the mean of those of the draws that the attacker sees, and with
        `one-draw` those of the first such draw. Its queries are not queries of this victim: they are counted apart, and
        the threat's `queries` does not limit them. Raises `GradientRefused` unless the threat's access is `gradient`,
        since the attacker must know the weights, and `Incompatible` if the draws are not weights of one network.
        """
        check_gradients(self._threat, "the weights of the network")
        made = surrogate_of(self._predictive, self._draws, source)
        victim = Victim(made, self._threat, [0], self.images, self._seed, self._own_fits)
        victim._allowed = None
        return victim

    def fitted(self, posterior: Posterior) -> Predictive:
        """The predictive that the attacker has fitted itself, on the training data, by a posterior that it holds.

        It knows nothing of the victim but the network's architecture, and is not queried through this victim. Raises
        `Incompatible` if there are no training data, as in a call of the attack: `bnnbench.evaluate` has them.
        """
        made = self._own_fits(posterior) if self._own_fits else None
        if made is None:
            raise Incompatible("the attack fits a network of its own, and has no training data: use bnnbench.evaluate")
        return made

    def logits(self, x: Tensor) -> Tensor:
        """Logits (S, N, K) of the draws that the attacker sees, at inputs x (N, *shape).

        They are differentiable in x if the threat's access is `gradient`. The query counts as one with gradient if x
        requires a gradient. Raises `GradientRefused` if it does and the predictive gives none, and `ScoresRefused` if
        the threat's access is `decisions`, as `log_probs`, `value` and `score` do.
        """
        import torch
        from torch.autograd import forward_ad

        if self._threat.access != "gradient":
            check_scores(self._threat)
            self._count(x, gradient=False)
            with torch.no_grad():
                # Without a tangent: forward-mode differentiation would give a gradient too.
                return self._predictive.logits(forward_ad.unpack_dual(x.detach()).primal, self._query())
        self._count(x, gradient=x.requires_grad)
        logits = self._predictive.logits(x, self._query())
        if x.requires_grad and torch.is_grad_enabled():
            check_differentiable(logits, self._predictive.described)
        return logits

    def decisions(self, x: Tensor) -> Tensor:
        """The predicted classes (N,) at inputs x (N, *shape): what every threat gives."""
        from bnnbench.core.ensemble import directions

        self._count(x, gradient=False)
        return directions.average(self._predictive.draw_log_probs(x, self._query())).argmax(-1).to(x.device)

    def log_probs(self, x: Tensor) -> Tensor:
        """Log predictive probabilities (N, K) at inputs x (N, *shape), without gradient."""
        from bnnbench.core.ensemble import directions

        return directions.average(self._each(x)).to(x)

    def value(self, x: Tensor, y: Tensor, objective: Objective | str) -> Tensor:
        """The objective (N,) at inputs x (N, *shape) with labels y (N,), without gradient."""
        return self.score(x, y, objective)[1]

    def score(self, x: Tensor, y: Tensor, objective: Objective | str) -> tuple[Tensor, Tensor]:
        """Log predictive probabilities (N, K) and the objective (N,), from one query without gradient.

        Arguments are as in `gradient`.
        """
        from bnnbench.core.ensemble import directions

        each = self._each(x)
        average = directions.average(each).to(x)  # Computed first, because an objective may change its arguments.
        value = value_of(self._followed(objective), each, y.to(each.device))
        return average, self._threat.aim.sign * value.to(x)

    def gradient(self, x: Tensor, y: Tensor, objective: Objective | str) -> Tensor:
        """The objective's gradient (N, *shape) at inputs x (N, *shape) with labels y (N,).

        `objective` is an `Objective` or a registered name. Raises `GradientRefused` unless the threat's access is
        `gradient`, as `direction`, `value_and_direction` and `probe` do.
        """
        self._count(x, gradient=True)
        gradient = self._predictive.gradient(x, y, self._followed(objective), self._query())
        self._note_zero(gradient)
        return self._threat.aim.sign * gradient

    def direction(self, x: Tensor, y: Tensor, objective: Objective | str) -> Tensor:
        """The gradient (N, *shape) up to a positive factor for each image, free of underflow.

        Arguments are as in `gradient`.
        """
        return self.probe(x, y, objective).direction

    def value_and_direction(self, x: Tensor, y: Tensor, objective: Objective | str) -> tuple[Tensor, Tensor]:
        """The objective (N,) and its direction (N, *shape), from one query. Arguments are as in `gradient`."""
        return self.probe(x, y, objective)[1:]

    def probe(self, x: Tensor, y: Tensor, objective: Objective | str) -> Probe:
        """Log predictive probabilities (N, K), the objective (N,) and its direction (N, *shape), from one query.

        Arguments are as in `gradient`.
        """
        from bnnbench.core.ensemble import maths

        self._count(x, gradient=True)
        probe = maths.probe(self._predictive, x, y, self._followed(objective), self._query())
        self._note_zero(probe.direction)
        sign = self._threat.aim.sign
        return probe._replace(value=sign * probe.value, direction=sign * probe.direction)

    def _followed(self, objective: Objective | str) -> Objective:
        """The objective that an attack with this objective follows to the goal of the threat, up to the goal's sign.

        Raises `Incompatible` if the draws are too few for the goal, as those of a surrogate may be.
        """
        self._threat.aim.check_draws(len(self))
        return followed(self._threat.aim, as_objective(objective))

    def _each(self, x: Tensor) -> Tensor:
        """Log-probabilities (S, N, K) of each draw, from one query without gradient."""
        check_scores(self._threat)
        self._count(x, gradient=False)
        return self._predictive.draw_log_probs(x, self._query())

    def _query(self) -> list[int]:
        """The positions of the draws that answer the next query."""
        return draw_split.at_query(self._threat, self._draws, self._rng)
