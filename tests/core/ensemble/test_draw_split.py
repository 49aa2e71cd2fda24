"""The draws that an attacker sees, and those that defend."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bnnbench as bb
from bnnbench.core.ensemble import draw_split
from bnnbench.errors import Incompatible


def test_fixed_attackers_see_the_draws_that_defend() -> None:
    attack, evaluation = draw_split.split(bb.Threat(epsilon=0.1), chains=2, per_chain=10, limit=6)
    assert attack == evaluation == [1, 5, 8, 11, 15, 18]


def test_independent_attackers_see_other_chains_or_the_other_half() -> None:
    threat = bb.Threat(epsilon=0.1, stream="independent")
    assert draw_split.split(threat, 2, 3, None) == ([3, 4, 5], [0, 1, 2])
    assert draw_split.split(threat, 3, 2, None) == ([2, 3, 4, 5], [0, 1])
    assert draw_split.split(threat, 1, 5, None) == ([2, 3, 4], [0, 1])
    with pytest.raises(Incompatible, match="two draws or more"):
        draw_split.split(threat, 1, 1, None)


def test_fresh_draws_are_chosen_anew_at_each_query() -> None:
    threat = bb.Threat(epsilon=0.1, stream="fresh", attack_draws=3)
    draws = draw_split.split(threat, 1, 20, None).attack
    rng = torch.Generator().manual_seed(0)
    queries = [tuple(draw_split.at_query(threat, draws, rng)) for _ in range(100)]
    assert all(len(set(query)) == 3 for query in queries)
    assert len(set(queries)) > 80
    assert set().union(*queries) == set(range(20))


@settings(max_examples=100)
@given(chains=st.integers(1, 5), per_chain=st.integers(1, 30), limit=st.integers(1, 200))
def test_spaced_draws_are_distinct_shared_out_and_as_many_as_asked(chains: int, per_chain: int, limit: int) -> None:
    every = [range(chain * per_chain, (chain + 1) * per_chain) for chain in range(chains)]
    chosen = draw_split.spaced(every, limit)
    assert len(chosen) == len(set(chosen)) == min(limit, chains * per_chain)
    counts = [sum(draw in chain for draw in chosen) for chain in every]
    assert max(counts) - min(counts) <= 1
