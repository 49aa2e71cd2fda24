"""A predictive as an attack may query it under a threat."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bnnbench.core import seeds
from bnnbench.core.access import check_differentiable, check_gradients, check_queries, check_scores
from bnnbench.core.ensemble import draw_split
from bnnbench.core.ledger import Ledger, most_queries
from bnnbench.core.objective import Objective, as_objective, value_of
from bnnbench.core.predictive import Predictive
from bnnbench.core.surrogate import Source, surrogate_of
from bnnbench.core.threat import Threat

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench.core.ensemble.directions import Probe


class Victim:
    """A predictive as an attacker may query it: with the draws of the threat's stream, and with every query counted.

    A victim belongs to N images, and the inputs of a query are candidates for these images, in their order. An attack
    can run another attack on some of the images, on the victim `among(positions)`; queries, zero directions and steps
    are recorded for the right images at any depth. A query with another number of inputs than N cannot be attributed to
    images, and its cost is spread over all of them.

    Every query raises `QueriesSpent` if it exceeds the threat's `queries` for an image. `len(victim)` is the number of
    draws that one query evaluates.

    Args:
        predictive: the ensemble.
        threat: the threat.
        draws: the positions of the draws that the attacker may see.
        images: the number N of images.
        seed: determines the draws of each query under the stream `fresh`.
    """

    def __init__(
        self, predictive: Predictive, threat: Threat, draws: Sequence[int], images: int, seed: int = 0
    ) -> None:
        import torch

        self._predictive, self._threat, self._draws, self._seed = predictive, threat, draws, seed
        self._positions = torch.arange(images, device="cpu")
        self._rng: torch.Generator = seeds.torch_generator(seed, seeds.QUERIES)
        self.ledger = Ledger(images)
        self._shared: Ledger | None = None
        self._of_threats: dict[Threat, Victim] = {}
        self._one_threat = False
        self._allowed = threat.queries

    def __len__(self) -> int:
        """The number of draws that one query evaluates."""
        return min(draw_split.draws_per_query(self._threat, self._draws), len(self._draws))

    @property
    def images(self) -> int:
        """The number N of images that this victim belongs to."""
        return len(self._positions)

    def under(self, threat: Threat) -> Victim:
        """A victim for the same images whose queries are counted for one threat alone.

        The threat may differ from that of this victim in norm and epsilon only. Raises `ValueError` for any other, so
        that an attack gets no more access than its threat allows.
        """
        self._check(threat)
        if self._one_threat or (self._shared is not None and threat == self._threat):
            return self
        if threat not in self._of_threats:
            victim = Victim(self._predictive, threat, self._draws, len(self.ledger.forward), self._seed)
            victim._shared, victim._of_threats = self._shared or self.ledger, self._of_threats
            victim._allowed = self._allowed
            self._of_threats[threat] = victim
        return self._of_threats[threat]._at(self._positions)

    def among(self, positions: Tensor) -> Victim:
        """A victim for the images of this victim at these positions (n,). A position may occur several times."""
        return self._at(self._positions[positions.cpu()])

    def for_one_threat(self, threat: Threat) -> Victim:
        """A victim for the same images, for an attack that runs inside of another one under this threat.

        Its `under` returns the victim itself, so that all queries of the inner attack are counted where those of the
        outer attack are. Raises `ValueError` as `under` does.
        """
        self._check(threat)
        view = self._at(self._positions)
        view._one_threat = True
        return view

    def surrogate(self, source: Source) -> Victim:
        """A victim for the same images and threat, whose ensemble is one network that the attacker has made.

        With the source `mean-network` its weights are the mean of those of the draws that the attacker sees, and with
        `one-draw` those of the first such draw. Its queries are not queries of this victim: they are counted apart, and
        the threat's `queries` does not limit them. Raises `GradientRefused` unless the threat's access is `gradient`,
        since the attacker must know the weights, and `Incompatible` if the draws are not weights of one network.
        """
        check_gradients(self._threat, "the weights of the network")
        made = surrogate_of(self._predictive, self._draws, source)
        victim = Victim(made, self._threat, [0], self.images, self._seed)
        victim._allowed = None
        return victim

    def ledgers(self, threat: Threat) -> list[Ledger]:
        """The ledgers that count for one threat: the one of all threats, and the threat's own if it has one."""
        victim = self._of_threats.get(threat)
        return [self.ledger, victim.ledger] if victim else [self.ledger]

    @property
    def queries_left(self) -> Tensor | None:
        """The number of queries (N,) that the threat still allows for each image; None if there is no limit."""
        return None if self._allowed is None else (self._allowed - self._spent())[self._positions]

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
        return average, value_of(as_objective(objective), each, y.to(each.device)).to(x)

    def gradient(self, x: Tensor, y: Tensor, objective: Objective | str) -> Tensor:
        """The objective's gradient (N, *shape) at inputs x (N, *shape) with labels y (N,).

        `objective` is an `Objective` or a registered name. Raises `GradientRefused` unless the threat's access is
        `gradient`, as `direction`, `value_and_direction` and `probe` do.
        """
        self._count(x, gradient=True)
        gradient = self._predictive.gradient(x, y, objective, self._query())
        self._note_zero(gradient)
        return gradient

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
        probe = maths.probe(self._predictive, x, y, as_objective(objective), self._query())
        self._note_zero(probe.direction)
        return probe

    def record(self, name: str, values: Tensor) -> None:
        """Append the values (N,) of one step to the diagnostics that are kept with the outcome under this name.

        Images that this victim does not belong to get NaN for the step. Raises `ValueError` for another shape.
        """
        if values.shape != (self.images,):
            raise ValueError(f"a step's '{name}' has shape {tuple(values.shape)}, not ({self.images},)")
        self.ledger.record(name, values.detach().cpu(), self._positions)

    def _check(self, threat: Threat) -> None:
        if not threat.differs_in_radius_alone(self._threat):
            raise ValueError("the threat differs in more than norm and epsilon from the threat of this victim")

    def _at(self, positions: Tensor) -> Victim:
        view = copy.copy(self)
        view._positions = positions
        return view

    def _each(self, x: Tensor) -> Tensor:
        """Log-probabilities (S, N, K) of each draw, from one query without gradient."""
        check_scores(self._threat)
        self._count(x, gradient=False)
        return self._predictive.draw_log_probs(x, self._query())

    def _query(self) -> list[int]:
        """The positions of the draws that answer the next query."""
        return draw_split.at_query(self._threat, self._draws, self._rng)

    def _spent(self) -> Tensor:
        """The queries of each image so far (N,): those for all threats, and those for the threat with most of them."""
        if self._shared is not None:
            return self._shared.forward + self.ledger.forward
        return self.ledger.forward + most_queries([victim.ledger for victim in self._of_threats.values()])

    def _count(self, x: Tensor, *, gradient: bool) -> None:
        """Count a query of these inputs. Raises `GradientRefused` or `QueriesSpent` if the threat does not allow it."""
        if gradient:
            check_gradients(self._threat)
        cost = self.ledger.attributed(len(x), self._positions)
        check_queries(self._allowed, self._spent() + cost)
        self.ledger.count(cost, gradient=gradient)

    def _note_zero(self, direction: Tensor) -> None:
        self.ledger.note_zero((direction.flatten(1) == 0).all(1).cpu(), self._positions)
