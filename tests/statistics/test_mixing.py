"""R-hat and ESS are those of ArviZ; what cannot be judged is left out."""

from __future__ import annotations

import numpy as np
import pytest
from arviz_stats.base import array_stats

from bnnbench.statistics.mixing import INFINITE, mixing, mixing_of_each


def test_chains_that_mix_and_chains_that_do_not() -> None:
    """Independent normal draws mix; chains around different means and a random walk do not."""
    generator = np.random.default_rng(0)
    good = generator.normal(size=(4, 1000, 5))
    rhat, ess = mixing(good)
    assert rhat is not None
    assert rhat < 1.01
    assert ess is not None
    assert ess > 2000
    apart = mixing(good + np.arange(4)[:, None, None])
    assert apart[0] is not None
    assert apart[0] > 1.5
    walk = mixing(generator.normal(size=(1, 400, 3)).cumsum(1))
    assert walk[0] is not None
    assert walk[0] > 1.2
    assert walk[1] is not None
    assert walk[1] < 40


def test_each_is_that_of_arviz_and_the_worst_counts() -> None:
    values = np.random.default_rng(0).normal(size=(3, 50, 4)).cumsum(1)
    each = mixing_of_each(values)
    for place in range(4):
        one = values[..., place]
        assert each.rhat[place] == pytest.approx(array_stats.rhat(one, chain_axis=0, draw_axis=1))
        bulk = array_stats.ess(one, method="bulk", chain_axis=0, draw_axis=1)
        tail = array_stats.ess(one, method="tail", prob=(0.05, 0.95), chain_axis=0, draw_axis=1)
        assert each.ess[place] == pytest.approx(min(bulk, tail))
    assert mixing(values) == (each.rhat.max(), each.ess.min())


def test_a_single_chain_is_cut_into_halves() -> None:
    values = np.random.default_rng(0).normal(size=(1, 101, 2))
    halves = np.concatenate([values[:, :50], values[:, 51:]])
    assert mixing(values) == mixing(halves)


def test_what_cannot_be_judged_is_left_out() -> None:
    good = np.random.default_rng(0).normal(size=(2, 100, 2))
    odd = np.ones((2, 100, 2))
    odd[0, 0, 1] = np.nan
    assert mixing(np.concatenate([good, odd], -1)) == mixing(good)
    assert mixing(odd) == mixing(good[:, :7]) == (None, None)
    assert mixing(np.repeat([[[0.0]], [[1.0]]], 10, 1))[0] == INFINITE
