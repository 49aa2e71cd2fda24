"""Ball and box."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import bnnbench as bb
from bnnbench.core import streams
from bnnbench.errors import Incompatible


@settings(max_examples=100, deadline=None)
@given(
    epsilon=st.floats(0, 2), norm=st.sampled_from(["linf", "l2"]), seed=st.integers(0, 999), width=st.floats(0.01, 10)
)
def test_projections_land_in_ball_and_box_and_stay_there(epsilon: float, norm: str, seed: int, width: float) -> None:
    threat = bb.Threat(epsilon=epsilon, norm=norm, bounds=(0.0, 1.0))
    rng = torch.Generator().manual_seed(seed)
    x = torch.rand(20, 3, 2, generator=rng, dtype=torch.float64)
    far = x + width * torch.randn(x.shape, generator=rng, dtype=torch.float64)
    near = threat.project(x, far)
    assert (threat.distance(x, near) <= epsilon + 1e-12).all()
    assert near.min() >= 0
    assert near.max() <= 1
    assert torch.allclose(threat.project(x, near), near, atol=1e-12)
    inside = threat.uniform(x, rng)
    assert torch.allclose(threat.project(x, inside), inside, atol=1e-12)


def test_uniform_noise_fills_the_ball() -> None:
    """The share within half the radius is 2^-d in the l2 ball of d dimensions: 5 standard errors, error rate 6e-7."""
    x = torch.zeros(20_000, 3)
    rng = torch.Generator().manual_seed(0)
    for norm in ("linf", "l2"):
        threat = bb.Threat(epsilon=1.0, norm=norm, bounds=(-2.0, 2.0))
        share = (threat.distance(x, threat.uniform(x, rng)) < 0.5).double().mean().item()
        assert abs(share - 1 / 8) < 5 * math.sqrt(1 / 8 * 7 / 8 / len(x))


def test_the_steepest_step_has_length_one_however_small_the_direction() -> None:
    direction = torch.tensor([[3e-30, -4e-30], [3e30, -4e30], [0.0, 0.0]])
    l2 = bb.Threat(epsilon=1.0, norm="l2").steepest(direction)
    assert torch.allclose(l2, torch.tensor([[0.6, -0.8], [0.6, -0.8], [0.0, 0.0]]))
    linf = bb.Threat(epsilon=1.0).steepest(direction)
    assert linf.tolist() == [[1, -1], [1, -1], [0, 0]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon": -0.1},
        {"epsilon": math.nan},
        {"epsilon": True},
        {"epsilon": 0.1, "norm": "l1"},
        {"epsilon": 0.1, "bounds": (1.0, 0.0)},
        {"epsilon": 0.1, "stream": "fresh"},
        {"epsilon": 0.1, "attack_draws": 0},
    ],
)
def test_threats_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        bb.Threat(**wrong)


def test_fixed_attackers_see_the_draws_that_defend() -> None:
    attack, evaluation = streams.split(bb.Threat(epsilon=0.1), chains=2, per_chain=10, limit=6)
    assert attack == evaluation == [1, 5, 8, 11, 15, 18]


def test_independent_attackers_see_other_chains_or_the_other_half() -> None:
    threat = bb.Threat(epsilon=0.1, stream="independent")
    assert streams.split(threat, 2, 3, None) == ([3, 4, 5], [0, 1, 2])
    assert streams.split(threat, 3, 2, None) == ([2, 3, 4, 5], [0, 1])
    assert streams.split(threat, 1, 5, None) == ([2, 3, 4], [0, 1])
    with pytest.raises(Incompatible, match="two draws or more"):
        streams.split(threat, 1, 1, None)


def test_fresh_draws_are_chosen_anew_at_each_query() -> None:
    threat = bb.Threat(epsilon=0.1, stream="fresh", attack_draws=3)
    draws = streams.split(threat, 1, 20, None).attack
    rng = torch.Generator().manual_seed(0)
    queries = [tuple(streams.at_query(threat, draws, rng)) for _ in range(100)]
    assert all(len(set(query)) == 3 for query in queries)
    assert len(set(queries)) > 80
    assert set().union(*queries) == set(range(20))


@settings(max_examples=100, deadline=None)
@given(chains=st.integers(1, 5), per_chain=st.integers(1, 30), limit=st.integers(1, 200))
def test_spaced_draws_are_distinct_shared_out_and_as_many_as_asked(chains: int, per_chain: int, limit: int) -> None:
    every = [range(chain * per_chain, (chain + 1) * per_chain) for chain in range(chains)]
    chosen = streams.spaced(every, limit)
    assert len(chosen) == len(set(chosen)) == min(limit, chains * per_chain)
    counts = [sum(draw in chain for draw in chosen) for chain in every]
    assert max(counts) - min(counts) <= 1
