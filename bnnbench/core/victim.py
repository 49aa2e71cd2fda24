"""What an attack sees of a predictive under a threat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bnnbench.core import seeds, streams
from bnnbench.core.objective import value_of
from bnnbench.core.predictive import Predictive, as_objective
from bnnbench.core.threat import Threat
from bnnbench.errors import GradientRefused

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench.core.objective import Objective
    from bnnbench.core.streaming import Probe


@dataclass
class Ledger:
    """What an attack has asked for, image by image.

    `forward` and `gradient` (N,) count looks at the whole ensemble; `followed` (N,) says of which images a direction or
    gradient was asked for, as far as it is known, and `zero_direction` (N,) where one was exactly zero; `steps` holds
    what the attack recorded.
    """

    forward: Tensor
    gradient: Tensor
    followed: Tensor
    zero_direction: Tensor
    steps: dict[str, list[Tensor]] = field(default_factory=dict)


class Victim:
    """A predictive as its attacker may query it: the draws of the threat's stream, with every look counted."""

    def __init__(
        self,
        predictive: Predictive,
        threat: Threat,
        draws: Sequence[int],
        images: int,
        seed: int = 0,
        *,
        shared: Victim | None = None,
        positions: Tensor | None = None,
    ) -> None:
        import torch

        self._predictive, self._threat, self._draws, self._images = predictive, threat, draws, images
        self._seed, self._positions = seed, positions
        self._rng: torch.Generator = shared._rng if shared else seeds.generator(seed, seeds.QUERIES)
        if shared:
            self.ledger: Ledger = shared.ledger
        else:
            never = torch.zeros(images, dtype=torch.bool)
            self.ledger = Ledger(torch.zeros(images), torch.zeros(images), never, never.clone())

    def __len__(self) -> int:
        """How many draws a query sees."""
        return streams.seen(self._threat, self._draws)

    def under(self, threat: Threat) -> Victim:
        """The same victim, counting and recording for one of several threats that differ in norm and epsilon alone.

        Raises `ValueError` for a threat that differs in more: an attacker is given no more than its own allows.
        """
        own = self._threat
        if replace(threat, norm=own.norm, epsilon=own.epsilon) != own:
            raise ValueError("a victim under another threat than its own, which differs in more than norm and epsilon")
        return Victim(self._predictive, threat, self._draws, self._images, self._seed)

    def among(self, positions: Tensor) -> Victim:
        """The same victim, asked about some of the images alone: those at these positions (n,)."""
        return Victim(
            self._predictive,
            self._threat,
            self._draws,
            self._images,
            self._seed,
            shared=self,
            positions=positions.cpu(),
        )

    def logits(self, x: Tensor) -> Tensor:
        """Logits (S, N, K) of the draws that the attacker sees; differentiable in x where gradients are given, and
        then counted as such if x asks for one."""
        import torch

        if self._threat.access == "scores":
            self._count(x, gradient=False)
            with torch.no_grad():
                return self._predictive.logits(x, self._query())
        self._count(x, gradient=x.requires_grad)
        return self._predictive.logits(x, self._query())

    def log_probs(self, x: Tensor) -> Tensor:
        """Log predictive probabilities (N, K), without gradient."""
        from bnnbench.core import streaming

        return streaming.average(self._each(x)).to(x)

    def value(self, x: Tensor, y: Tensor, objective: Objective | str) -> Tensor:
        """The objective (N,)."""
        return self.score(x, y, objective)[1]

    def score(self, x: Tensor, y: Tensor, objective: Objective | str) -> tuple[Tensor, Tensor]:
        """Log predictive probabilities (N, K) and the objective (N,), from one look without gradient."""
        from bnnbench.core import streaming

        each = self._each(x)
        average = streaming.average(each).to(x)  # First: an objective may change what it is handed.
        return average, value_of(as_objective(objective), each, y.to(each.device)).to(x)

    def gradient(self, x: Tensor, y: Tensor, objective: Objective | str) -> Tensor:
        """The objective's true gradient, of the inputs' shape. Raises `GradientRefused` if only scores are given."""
        self._count(x, gradient=True)
        found = self._predictive.gradient(x, y, objective, self._query())
        self._note_zero(found)
        return found

    def direction(self, x: Tensor, y: Tensor, objective: Objective | str) -> Tensor:
        """The gradient up to a positive factor for each image. Raises `GradientRefused` if only scores are given."""
        return self.probe(x, y, objective).direction

    def value_and_direction(self, x: Tensor, y: Tensor, objective: Objective | str) -> tuple[Tensor, Tensor]:
        """Both from one look."""
        _, value, direction = self.probe(x, y, objective)
        return value, direction

    def probe(self, x: Tensor, y: Tensor, objective: Objective | str) -> Probe:
        """Log predictive probabilities (N, K), the objective (N,) and its direction, from one look."""
        from bnnbench.core import streaming

        self._count(x, gradient=True)
        found = streaming.probe(self._predictive, x, y, as_objective(objective), self._query())
        self._note_zero(found.direction)
        return found

    def record(self, name: str, values: Tensor) -> None:
        """Keep a step's diagnostics (N,) with the outcome; each call appends a step. Raises `ValueError` for another
        shape."""
        if values.shape != (self._images,):
            raise ValueError(f"a step's '{name}' has shape {tuple(values.shape)}, not ({self._images},)")
        self.ledger.steps.setdefault(name, []).append(values.detach().cpu().clone())

    def _each(self, x: Tensor) -> Tensor:
        self._count(x, gradient=False)
        return self._predictive.draw_log_probs(x, self._query())

    def _query(self) -> list[int]:
        return streams.at_query(self._threat, self._draws, self._rng)

    def _count(self, x: Tensor, *, gradient: bool) -> None:
        if gradient and self._threat.access == "scores":
            raise GradientRefused("this threat gives the attacker scores, not gradients")
        for counts in (self.ledger.forward, self.ledger.gradient)[: 1 + gradient]:
            if self._positions is not None:
                counts[self._positions] += 1
            else:
                # Of fewer images than there are nobody knows which they were: each is charged its share.
                counts += len(x) / self._images

    def _note_zero(self, direction: Tensor) -> None:
        zero = (direction.flatten(1) == 0).all(1).cpu()
        at = slice(None) if self._positions is None else self._positions
        if self._positions is not None or len(zero) == self._images:
            self.ledger.followed[at] = True
            self.ledger.zero_direction[at] |= zero
