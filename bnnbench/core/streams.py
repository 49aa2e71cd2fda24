"""Which draws attack and which defend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bnnbench.core.threat import Threat
from bnnbench.errors import Incompatible

if TYPE_CHECKING:
    import torch


class Split(NamedTuple):
    """Positions of the draws that the attacker queries and of those that defend."""

    attack: list[int]
    evaluation: list[int]


def split(threat: Threat, chains: int, per_chain: int, limit: int | None) -> Split:
    """The two sets of draws under a threat's stream, each evenly spaced within its chains.

    `limit` is the most draws that defend (`evaluate.draws`). Raises `Incompatible` if there are too few for the stream.
    """
    every = [range(chain * per_chain, (chain + 1) * per_chain) for chain in range(chains)]
    if threat.stream != "independent":
        evaluation = spaced(every, limit)
        needed = threat.attack_draws
        if needed is not None and needed > len(evaluation):
            raise Incompatible(f"attack_draws is {needed}, but the ensemble has {len(evaluation)} draws")
        attack = spaced([evaluation], needed) if threat.stream == "fixed" else evaluation
        return Split(attack, evaluation)
    if chains >= 2:
        defenders, others = every[: chains // 2], every[chains // 2 :]
    else:
        half = per_chain // 2
        defenders, others = [every[0][:half]], [every[0][half:]]
    if not defenders[0]:
        raise Incompatible(f"the stream 'independent' needs two draws or more, not {chains * per_chain}")
    available = sum(len(chain) for chain in others)
    if threat.attack_draws is not None and threat.attack_draws > available:
        raise Incompatible(f"attack_draws is {threat.attack_draws}, but only {available} draws are independent")
    return Split(spaced(others, threat.attack_draws), spaced(defenders, limit))


def spaced(chains: Sequence[Sequence[int]], limit: int | None) -> list[int]:
    """At most `limit` positions, shared out over the chains and evenly spaced within each."""
    total = sum(len(chain) for chain in chains)
    if limit is None or limit >= total:
        return [draw for chain in chains for draw in chain]
    share, extra = divmod(limit, len(chains))
    chosen = []
    for number, chain in enumerate(chains):
        count = min(share + (number < extra), len(chain))
        # Midpoints of equal segments: neither end of the chain is favoured.
        chosen += [chain[(2 * k + 1) * len(chain) // (2 * count)] for k in range(count)]
    return chosen


def seen(threat: Threat, draws: Sequence[int]) -> int:
    """How many draws one query sees."""
    return threat.attack_draws or len(draws)


def at_query(threat: Threat, draws: Sequence[int], rng: torch.Generator) -> list[int]:
    """The draws of one query: the same ones always, or under `fresh` a random subset chosen anew."""
    if threat.stream != "fresh":
        return list(draws)
    import torch

    order = torch.randperm(len(draws), generator=rng)[: seen(threat, draws)]
    return [draws[position] for position in order.tolist()]


def at_each(threat: Threat, draws: Sequence[int], images: int, rng: torch.Generator) -> torch.Tensor:
    """Positions among the draws, (k, N): under `fresh` the random subset that answers each image's own query.

    One subset for all images would make their outcomes depend on each other, and every interval too narrow.
    """
    import torch

    return torch.rand(images, len(draws), generator=rng).argsort(1)[:, : seen(threat, draws)].T
