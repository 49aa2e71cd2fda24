"""Whether chains agree: by-hand values, exact distributions, and rates under chains whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal, stats

from bnnbench.statistics import agreement


def ar1(rho: float, shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Stationary AR(1) series of mean 0 and variance 1 along the axis of draws (chains, draws, Q)."""
    generator = np.random.default_rng(seed)
    steps = generator.normal(size=shape) * np.sqrt(1 - rho**2)
    steps[:, 0] = generator.normal(size=(shape[0], shape[2]))
    return np.asarray(signal.lfilter([1], [1, -rho], steps, axis=1))


def test_what_varies_is_finite_and_has_two_values() -> None:
    columns = np.array([[[0.1, 1.0, np.nan, np.inf, 0.0], [0.1, 2.0, 1.0, 1.0, -0.0]]], "f4")
    assert agreement.varying(columns).tolist() == [False, True, False, False, False]


def test_ranks_become_normal_scores_and_ties_share_one() -> None:
    """Ranks 1, 2.5, 2.5, 4 of four draws give the quantiles (rank - 3/8) / (4 + 1/4)."""
    scores = agreement.rank_normalised(np.array([[[5.0], [7.0]], [[7.0], [90.0]]])).ravel()
    assert scores == pytest.approx(stats.norm.ppf((np.array([1, 2.5, 2.5, 4]) - 0.375) / 4.25))


def test_halves_leave_out_a_middle_draw() -> None:
    halves = agreement.in_two(np.arange(10).reshape(2, 5, 1))
    assert halves[..., 0].tolist() == [[0, 1], [5, 6], [3, 4], [8, 9]]


def test_nested_rhat_by_hand() -> None:
    """Means of chains 1, 3 | 5, 7, of groups 2, 6: B = 8. Between chains 2, within chains 2: W = 4. sqrt(1 + 8 / 4)."""
    chains = np.array([[0, 2], [2, 4], [4, 6], [6, 8]], float)[..., None]
    assert agreement.nested_rhat(chains, 2) == pytest.approx(np.sqrt(3))
    # A group of one chain has nothing between its chains: W = 2, and B = var(1, 3, 5, 7) = 20 / 3.
    assert agreement.nested_rhat(chains, 4) == pytest.approx(np.sqrt(1 + 20 / 3 / 2))
    # A chain of one draw has nothing within: W = 2, the variance of 1, 3 and of 5, 7.
    assert agreement.nested_rhat(np.array([1.0, 3, 5, 7]).reshape(4, 1, 1), 2) == pytest.approx(np.sqrt(1 + 8 / 2))
    still = np.repeat([[0.0], [0.0], [1.0], [1.0]], 3, 1)[..., None]
    assert np.isinf(agreement.nested_rhat(still, 2))


def test_the_chance_of_groups_is_an_analysis_of_variance_of_the_means() -> None:
    values = np.random.default_rng(0).normal(size=(12, 5, 3)) + np.repeat(np.arange(4), 3)[:, None, None]
    means = values.mean(1).reshape(4, 3, 3)
    assert agreement.chance_of_groups(values, 4) == pytest.approx(stats.f_oneway(*means).pvalue)
    assert np.isnan(agreement.chance_of_groups(values, 12)).all()


@pytest.mark.parametrize(("shift", "share"), [(0.0, 0.0), (1.0, 0.5), (2.0, 0.8), (0.5, 0.2)])
def test_the_share_between_two_modes_is_known(shift: float, share: float) -> None:
    """Two chains of variance 1 around -d and d: the share is d^2 / (1 + d^2)."""
    one = np.array([-1.0, 1.0])
    values = np.stack([one - shift, one + shift])[..., None]
    assert agreement.between_share(values) == pytest.approx(share)


def test_a_constant_has_no_share_and_still_chains_that_differ_have_all() -> None:
    values = np.ones((2, 10, 2))
    values[1, :, 1] = 2
    assert agreement.between_share(values).tolist() == [0, 1]
    assert agreement.chance_of_chains(values).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rho", "chains", "draws"), [(0.0, 2, 100), (0.0, 16, 64), (0.5, 4, 250), (0.9, 4, 1000), (-0.5, 4, 250)]
)
def test_stationary_chains_differ_by_chance_as_often_as_is_said(rho: float, chains: int, draws: int) -> None:
    """Of 800 quantities 5% are expected below 5%, and 1% below 1%: at most 8% and 2.5% (the chance is below 1e-3)."""
    values = ar1(rho, (chains, draws, 800))
    for part in agreement.bulk_and_folded(agreement.in_two(values)):
        chance = agreement.chance_of_chains(part)
        assert 0.02 < (chance <= 0.05).mean() < 0.08
        assert (chance <= 0.01).mean() < 0.025


def test_chains_that_differ_do_not_differ_by_chance() -> None:
    """A shift of one standard deviation in one of four chains of 500 effective draws is ten standard errors."""
    values = ar1(0.5, (4, 1500, 50))
    values[0] += 1
    assert agreement.chance_of_chains(agreement.in_two(values)).max() < 1e-6
    groups = np.random.default_rng(1).normal(size=(40, 4, 50)) + np.repeat([0, 0, 0, 2], 10)[:, None, None]
    assert agreement.chance_of_groups(groups, 4).max() < 1e-3


def test_the_effective_size_of_short_chains_is_known() -> None:
    """Chains that do not move are worth one draw each; independent draws are worth themselves, within a fifth."""
    generator = np.random.default_rng(0)
    still = np.repeat(generator.normal(size=(400, 1, 20)), 4, axis=1)
    assert np.median(agreement.ess_of_groups(still, 4)) == pytest.approx(400, rel=0.05)
    free = generator.normal(size=(400, 4, 20))
    assert np.median(agreement.ess_of_groups(free, 4)) == pytest.approx(1600, rel=0.2)
    assert agreement.ess_of_groups(free, 4).max() <= 1600
