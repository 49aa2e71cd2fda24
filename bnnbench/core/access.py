"""What a threat and a predictive let the attacker see: the checks of its queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench.core.threat import Threat
from bnnbench.errors import GradientRefused, QueriesSpent, ScoresRefused

if TYPE_CHECKING:
    from torch import Tensor

_GIVEN = {"scores": "scores", "decisions": "predicted classes"}
"""What an attacker without gradients is given, by the access of its threat."""


def check_gradients(threat: Threat, wanted: str = "gradients") -> None:
    """Raise `GradientRefused` unless the threat's access is `gradient`; `wanted` is what needs it, in the message."""
    if threat.access != "gradient":
        raise GradientRefused(f"this threat gives the attacker {_GIVEN[threat.access]}, not {wanted}")


def check_scores(threat: Threat) -> None:
    """Raise `ScoresRefused` if the threat gives predicted classes alone."""
    if threat.access == "decisions":
        raise ScoresRefused("this threat gives the attacker predicted classes, not scores")


def check_queries(allowed: int | None, asked: Tensor) -> None:
    """Raise `QueriesSpent` if the number of queries of an image, of those asked (N,), exceeds what is allowed."""
    if allowed is not None and (most := float(asked.max())) > allowed + 1e-6:
        raise QueriesSpent(
            f"the threat allows {allowed} queries for each image, and the attack asked for {most:.6g} or more"
        )


def check_differentiable(logits: Tensor, described: str) -> None:
    """Raise `GradientRefused` unless logits have a gradient; `described` is the predictive in the message."""
    if not logits.requires_grad:
        from bnnbench.core.ensemble.batching import no_gradient

        raise GradientRefused(no_gradient(described))
