"""Choose the draws that attack and the draws that defend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bnnbench.core.threat import Threat
from bnnbench.errors import Incompatible
from bnnbench.plugins.described import counted

if TYPE_CHECKING:
    import torch


class Split(NamedTuple):
    """Positions of the draws that the attacker queries (`attack`) and of those that defend (`evaluation`)."""

    attack: list[int]
    evaluation: list[int]


def split(threat: Threat, chains: int, per_chain: int, limit: int | None) -> Split:
    """The attacking and the defending draws under a threat's stream, evenly spaced within their chains.

    Under `fixed`, the attacking draws are among those that defend; under `fresh`, they are the same. Under
    `independent`, the first half of the chains defends and the second half attacks; a single chain is cut into halves.

    Args:
        threat: the threat, whose `stream` and `attack_draws` count.
        chains: the number of chains.
        per_chain: the number of draws of each chain.
        limit: the largest number of draws that defend (`evaluate.draws`), or None.

    Raises `Incompatible` if there are too few draws for the stream or the goal.
    """
    chosen = _split(threat, chains, per_chain, limit)
    for draws in (chosen.attack, chosen.evaluation):
        threat.aim.check_draws(draws_per_query(threat, draws) if threat.stream == "fresh" else len(draws))
    return chosen


def _split(threat: Threat, chains: int, per_chain: int, limit: int | None) -> Split:
    """The same, whatever the goal."""
    positions = [range(chain * per_chain, (chain + 1) * per_chain) for chain in range(chains)]
    if threat.stream != "independent":
        evaluation = spaced(positions, limit)
        needed = threat.attack_draws
        if needed is not None and needed > len(evaluation):
            raise Incompatible(f"attack_draws is {needed}, but the ensemble has {counted(len(evaluation), 'draw')}")
        attack = spaced([evaluation], needed) if threat.stream == "fixed" else evaluation
        return Split(attack, evaluation)
    if chains >= 2:
        defenders, attackers = positions[: chains // 2], positions[chains // 2 :]
    else:
        half = per_chain // 2
        defenders, attackers = [positions[0][:half]], [positions[0][half:]]
    if not defenders[0]:
        raise Incompatible(f"the stream 'independent' needs two draws or more, not {chains * per_chain}")
    available = sum(len(chain) for chain in attackers)
    if threat.attack_draws is not None and threat.attack_draws > available:
        raise Incompatible(f"attack_draws is {threat.attack_draws}, but only {available} draws are independent")
    return Split(spaced(attackers, threat.attack_draws), spaced(defenders, limit))


def spaced(chains: Sequence[Sequence[int]], limit: int | None) -> list[int]:
    """At most `limit` positions (all if it is None), equally many of each chain, evenly spaced within it."""
    total = sum(len(chain) for chain in chains)
    if limit is None or limit >= total:
        return [draw for chain in chains for draw in chain]
    share, extra = divmod(limit, len(chains))
    chosen = []
    for number, chain in enumerate(chains):
        count = min(share + (number < extra), len(chain))
        # The midpoints of equal segments, so that neither end of the chain is favoured.
        chosen += [chain[(2 * k + 1) * len(chain) // (2 * count)] for k in range(count)]
    return chosen


def draws_per_query(threat: Threat, draws: Sequence[int]) -> int:
    """The number of draws that one query evaluates, given the positions of the draws that may be used."""
    return threat.attack_draws or len(draws)


def at_query(threat: Threat, draws: Sequence[int], rng: torch.Generator) -> list[int]:
    """The positions of the draws of one query: all of them, or under `fresh` a new random subset."""
    if threat.stream != "fresh":
        return list(draws)
    import torch

    order = torch.randperm(len(draws), generator=rng)[: draws_per_query(threat, draws)]
    return [draws[position] for position in order.tolist()]


def at_each(threat: Threat, draws: Sequence[int], images: int, rng: torch.Generator) -> torch.Tensor:
    """A random subset of k draws for each of N images under `fresh`, as indices (k, N) into `draws`.

    Each image has a subset of its own. With one subset for all images, their outcomes would depend on each other, and
    the intervals would be too narrow.
    """
    import torch

    return torch.rand(images, len(draws), generator=rng).argsort(1)[:, : draws_per_query(threat, draws)].T
