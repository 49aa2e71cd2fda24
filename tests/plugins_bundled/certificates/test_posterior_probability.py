"""Statistical bounds of the probability that a draw of the posterior is robust."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from bnnbench_plugins.certificates.confidence import Method, lower_bound
from bnnbench_plugins.certificates.posterior_probability import PosteriorProbability
from scipy.stats import beta, binom

import bnnbench as bb

METHODS: tuple[Method, ...] = ("chernoff", "massart", "clopper-pearson")


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("trials", [1, 10, 50, 200])
@pytest.mark.parametrize("method", METHODS)
def test_the_bound_is_too_high_as_seldom_as_it_says_whatever_the_probability(
    method: Method, trials: int, confidence: float
) -> None:
    bounds = np.array([lower_bound(k, trials, confidence, method) for k in range(trials + 1)])
    assert (np.diff(bounds) >= 0).all()
    for p in np.linspace(0.002, 0.998, 499):
        too_high = binom.pmf(np.arange(trials + 1), trials, p)[bounds > p].sum()
        assert too_high <= 1 - confidence + 1e-9


def test_the_exact_bound_is_the_quantile_of_the_beta_distribution() -> None:
    for k in range(1, 51):
        assert lower_bound(k, 50, 0.95, "clopper-pearson") == pytest.approx(beta.ppf(0.05, k, 51 - k), abs=1e-9)
        for method in METHODS[:2]:
            assert lower_bound(k, 50, 0.95, method) <= lower_bound(k, 50, 0.95, "clopper-pearson")


def test_massart_s_exponent_is_below_the_divergence_that_bounds_the_tail() -> None:
    """Chernoff's bound is exp(-n kl); Massart's has a smaller exponent, so that it follows."""
    p, share = np.meshgrid(np.linspace(0.001, 0.99, 300), np.linspace(0.002, 0.9999, 300))
    p, share = p[share > p], share[share > p]
    divergence = share * np.log(share / p) + (1 - share) * np.log((1 - share) / (1 - p))
    middle = p + (share - p) / 3
    assert ((share - p) ** 2 / (2 * middle * (1 - middle)) <= divergence + 1e-12).all()


def thresholds(robust: list[float], **diagnostics: str) -> bb.Predictive:
    """Draws whose class changes at these distances from the input 0.5."""
    weight = np.array([[[20.0], [0.0]]] * len(robust), "f4")
    bias = np.array([[20 * (distance - 0.5), 0.0] for distance in robust], "f4")
    draws = bb.Draws({"weight": weight[None], "bias": bias[None]}, diagnostics=diagnostics)
    return bb.Predictive(torch.nn.Linear(1, 2), draws)


X, Y = torch.full((1, 1), 0.5), torch.zeros(1, dtype=torch.int64)


def test_coverage_over_posteriors_that_are_drawn_anew() -> None:
    """Of draws that are robust with a known probability, at most 5 in 100 bounds exceed it: here 400 posteriors."""
    generator, probability = np.random.default_rng(0), 0.8

    @functools.cache  # The next test shows that nothing but the number of robust draws decides.
    def bound(robust: int) -> float:
        distances = [0.3] * robust + [0.1] * (30 - robust)
        predictive = thresholds(distances, independent="drawn here")
        proof = PosteriorProbability().prove(predictive, range(30), X, Y, bb.Threat(epsilon=0.2))
        assert proof.bound is not None
        return float(proof.bound.item())

    too_high = sum(bound(int((generator.random(30) < probability).sum())) > probability for _ in range(400))
    # 99.9% quantile of the number at the stated rate.
    assert too_high <= binom.ppf(0.999, 400, 0.05)


def test_the_number_of_robust_draws_decides() -> None:
    predictive = thresholds([0.3] * 40 + [0.1] * 10, independent="drawn here")
    for method in METHODS:
        for epsilon, robust in ((0.05, 50), (0.2, 40), (0.4, 0)):
            certificate = PosteriorProbability(bound=method, probability=0.6)
            proof = certificate.prove(predictive, range(50), X, Y, bb.Threat(epsilon=epsilon))
            assert proof.bound is not None
            assert proof.bound.item() == pytest.approx(lower_bound(robust, 50, 0.95, method))
            assert proof.certified.item() == (proof.bound.item() > 0.6)
    assert PosteriorProbability.about == "posterior"
    # The mean of the draws is misled long before: it says nothing of them, nor they of it.


def test_draws_of_chains_count_by_their_effective_sample_size() -> None:
    generator = np.random.default_rng(0)
    walk = 0.3 + 0.003 * generator.normal(size=200).cumsum()
    sticky, free = thresholds(walk.tolist()), thresholds((0.3 + 0.01 * generator.normal(size=200)).tolist())
    threat = bb.Threat(epsilon=0.1)
    bounds = [PosteriorProbability().prove(one, range(200), X, Y, threat).bound for one in (sticky, free)]
    few, many = (float(one.item()) for one in bounds if one is not None)
    assert few < 0.8 < 0.95 < many


def test_draws_that_may_depend_on_each_other_are_incompatible() -> None:
    with pytest.raises(bb.Incompatible, match="two or more draws"):
        PosteriorProbability().prove(thresholds([0.3]), [0], X, Y, bb.Threat(epsilon=0.1))
    with pytest.raises(bb.Incompatible, match="chains of 8 or more"):
        PosteriorProbability().prove(thresholds([0.3, 0.2, 0.1]), range(3), X, Y, bb.Threat(epsilon=0.1))
