"""Metrics and intervals on cases done by hand or published."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known import small_data
from torch import nn

import bnnbench as bb
from bnnbench.evidence import card, metrics
from bnnbench.evidence.intervals import wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, Table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_against_published_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(trials=st.integers(1, 5000), share=st.floats(0, 1))
def test_wilson_contains_the_share_and_is_symmetric(trials: int, share: float) -> None:
    successes = share * trials
    low, high = wilson(successes, trials)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    other_low, other_high = wilson(trials - successes, trials)
    assert (low, high) == (pytest.approx(1 - other_high, abs=1e-9), pytest.approx(1 - other_low, abs=1e-9))


def test_wilson_covers_about_as_often_as_it_says() -> None:
    """Exact coverage at n = 100, averaged over proportions, is close to 95% (Brown, Cai, DasGupta 2001)."""
    n = 100
    inside = np.array([wilson(k, n) for k in range(n + 1)])
    coverage = []
    for p in np.linspace(0.05, 0.95, 91):
        weights = np.array([math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])
        coverage.append(weights[(inside[:, 0] <= p) & (p <= inside[:, 1])].sum())
    assert np.mean(coverage) == pytest.approx(0.95, abs=0.005)


def test_softmax_robustness_by_hand() -> None:
    clean = np.log([[0.7, 0.2, 0.1], [0.5, 0.5, 1e-300]])
    attacked = np.log([[0.1, 0.8, 0.1], [0.5, 0.5, 1e-300]])
    assert metrics.softmax_robustness(clean, attacked) == pytest.approx([0.4, 1.0])
    certain = np.array([[0.0, -np.inf]])
    assert metrics.softmax_robustness(certain, certain[:, ::-1]) == pytest.approx([0.0])


def test_scores_by_hand() -> None:
    log_probs = np.log([[0.8, 0.2], [0.4, 0.6]])
    labels = np.array([0, 0])
    assert metrics.negative_log_likelihood(log_probs, labels) == pytest.approx([-math.log(0.8), -math.log(0.4)])
    assert metrics.brier(log_probs, labels) == pytest.approx([0.08, 0.72])
    # One bin each: |1 - 0.8| and |0 - 0.6|, half the images in each.
    assert metrics.calibration_error(log_probs, labels) == pytest.approx(0.4)
    assert metrics.entropy(np.log([[0.5, 0.5]])) == pytest.approx([math.log(2)])
    assert metrics.entropy(np.array([[0.0, -np.inf]])) == pytest.approx([0.0])


def test_mutual_information_is_all_of_the_entropy_where_sure_draws_disagree_and_none_where_they_agree() -> None:
    even = np.log([[0.5, 0.5]])
    assert metrics.mutual_information(even, np.array([0.0])) == pytest.approx([math.log(2)])
    assert metrics.mutual_information(even, np.array([math.log(2)])) == pytest.approx([0.0])


def test_auroc_by_hand_and_against_counting() -> None:
    assert metrics.auroc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert metrics.auroc(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0.5
    generator = np.random.default_rng(0)
    negatives, positives = generator.integers(0, 5, 30) * 1.0, generator.integers(1, 6, 20) * 1.0
    counted = np.mean([(p > n) + 0.5 * (p == n) for p in positives for n in negatives])
    assert metrics.auroc(negatives, positives) == pytest.approx(counted)


def test_selective_accuracy_keeps_the_least_uncertain() -> None:
    log_probs = np.log([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels, uncertainty = np.array([0, 0, 0, 0]), np.array([0.1, 0.2, 0.3, 0.4])
    assert metrics.selective_accuracy(log_probs, labels, uncertainty, 0.5) == 1.0
    assert metrics.selective_accuracy(log_probs, labels, uncertainty, 1.0) == 0.5


def test_chains_that_mix_and_chains_that_do_not() -> None:
    """Independent normal draws mix; chains around different means, one still chain and a random walk do not."""
    generator = np.random.default_rng(0)
    good = generator.normal(size=(4, 1000, 5))
    rhat, ess = card.mixing(good)
    assert rhat is not None
    assert rhat < card.RHAT
    assert ess is not None
    assert ess > 2000
    apart = card.mixing(good + np.arange(4)[:, None, None])
    assert apart[0] is not None
    assert apart[0] > 1.5
    walk = card.mixing(generator.normal(size=(1, 400, 3)).cumsum(1))
    assert walk[0] is not None
    assert walk[0] > 1.2
    assert walk[1] is not None
    assert walk[1] < 40
    assert card.mixing(np.ones((2, 100, 3))) == (None, None)
    assert card.mixing(good[:, :5]) == (None, None)


class Independent(bb.Posterior):
    """Draws that are independent by construction."""

    independent_draws = True


def card_of(
    *shape: int, equal: str = "", independent: bool = False, spread: float = 1.0, **diagnostics: object
) -> dict[str, object]:
    """The card of normal draws of (chains, draws): `equal` ones are all the same, or each chain is the same."""
    generator = np.random.default_rng(0)
    network = nn.Linear(2, 2)
    arrays = {name: 1 + spread * generator.normal(size=(*shape, *w.shape)) for name, w in network.state_dict().items()}
    if equal == "chains":
        arrays = {name: array[:1].repeat(shape[0], 0) for name, array in arrays.items()}
    if equal == "draws":
        arrays = {name: array[:1, :1].repeat(shape[0], 0).repeat(shape[1], 1) for name, array in arrays.items()}
    predictive = bb.Predictive(network, bb.Draws(arrays, diagnostics=diagnostics))
    predictive.fitted_by = Independent() if independent else None
    return bb.posterior_card(predictive, small_data(inputs=2))


def test_chains_that_are_one_and_the_same_are_degenerate() -> None:
    assert card_of(2, 1000)["level"] == "converged"
    for shape in ((2, 1000), (2, 1), (3, 4)):
        assert card_of(*shape, equal="chains")["level"] == "degenerate", shape


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("told", [{}, {"unfinished": "far from the optimum"}])
def test_what_is_degenerate_is_so_whatever_else_is_said_of_it(independent: bool, told: dict[str, str]) -> None:
    for found in (
        card_of(1, 4, equal="draws", independent=independent, **told),
        card_of(1, 4, spread=1e-8, independent=independent, **told),
        card_of(1, 4, divergences=np.ones((1, 4), bool), independent=independent, **told),
    ):
        assert found["level"] == "degenerate", found
    fine = card_of(1, 4, independent=independent, **told)
    assert fine["level"] == ("short" if told or not independent else "independent")
    assert fine["divergences"] == 0


def test_one_draw_is_single_unless_its_transition_diverged() -> None:
    assert card_of(1, 1)["level"] == card_of(1, 1, independent=True)["level"] == "single"
    assert card_of(1, 1, unfinished="too early")["level"] == "single"
    assert card_of(1, 1, divergences=np.ones((1, 3), bool))["level"] == "degenerate"
    assert card_of(2, 1)["level"] == "short"


@pytest.mark.parametrize(
    ("divergences", "all_diverged"),
    [
        (np.array([1]), False),
        (np.array([3]), False),
        (np.array([4]), True),
        (1, False),
        (4, True),
        ([[0, 1, 0, 0]], False),
        ([[1, 1, 1, 1]], True),
        ([], False),
    ],
)
def test_divergences_are_flags_of_transitions_or_counts_of_chains(divergences: object, all_diverged: bool) -> None:
    found = card_of(1, 4, divergences=divergences)
    assert (found["why"] == "every transition diverged") == all_diverged
    assert found["divergences"] == np.sum(divergences)


def test_counts_of_divergences_are_those_of_each_chain() -> None:
    assert card_of(2, 4, divergences=np.array([8, 0]))["level"] == "short"
    assert card_of(2, 4, divergences=np.array([4, 4]))["level"] == "degenerate"
