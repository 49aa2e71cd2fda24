"""The microcanonical engine on normal targets whose moments are known, with the Metropolis step and without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnnbench.authoring import Chain, ChainLoop, FixedLength
from bnnbench.core.draws import no_progress
from bnnbench.statistics.mixing import mixing

pytest.importorskip("blackjax", reason="BlackJAX is an extra")
pytestmark = pytest.mark.integration
SIZE = 6
CORRELATED = 0.5 * np.eye(SIZE) + 0.5
BIASED_FROM = 10
"""Standard errors from which a figure counts as biased."""


def loop_of(covariance: np.ndarray, adjusted: bool, *, chain: int = 0, **settings: Any) -> ChainLoop:
    """The loop of a chain that samples N(0, covariance), in two parts of the state."""
    import jax.numpy as jnp
    from bnnbench_plugins.blackjax.engine import MicrocanonicalEngine

    def potential_of(matrix: Any) -> Any:
        def potential(state: Any) -> Any:
            whole = jnp.concatenate([state["a"], state["b"]])
            return 0.5 * whole @ matrix @ whole

        return potential

    half = len(covariance) // 2
    weights = {"b": np.ones(len(covariance) - half, "f4"), "a": np.ones(half, "f4")}
    record = Chain(FixedLength(**settings), chain, 0, no_progress)
    inputs = (jnp.asarray(np.linalg.inv(covariance).astype("f4")),)
    return ChainLoop(record, MicrocanonicalEngine(potential_of, weights, inputs, adjusted))


def sampled(covariance: np.ndarray, adjusted: bool, **settings: Any) -> np.ndarray:
    """The draws (draws, size) of a chain, in the order of the covariance."""
    loop = loop_of(covariance, adjusted, **settings)
    loop.run()
    return np.stack([np.concatenate([weights["a"], weights["b"]]) for weights in loop.record.kept]).astype(float)


def deviation(found: np.ndarray, true: float, variance: float) -> float:
    """How far the mean of draws of one quantity is above its true value, in standard errors at its ESS."""
    ess = mixing(found.reshape(2, -1, 1))[1]
    assert ess is not None
    assert ess > 100
    return float((found.mean() - true) / np.sqrt(variance / ess))


@pytest.mark.parametrize("covariance", [np.eye(SIZE), CORRELATED], ids=["standard", "correlated"])
def test_a_normal_target_has_its_moments(covariance: np.ndarray) -> None:
    """Means and products within 4.5 standard errors: 27 figures, an error rate below 2e-4."""
    draws = sampled(covariance, True, draws=3000, warmup=100, leapfrog_steps=4, step_size=0.01)
    for i in range(SIZE):
        assert abs(deviation(draws[:, i], 0.0, covariance[i, i])) < 4.5
        for j in range(i + 1):
            variance = covariance[i, i] * covariance[j, j] + covariance[i, j] ** 2
            assert abs(deviation(draws[:, i] * draws[:, j], covariance[i, j], variance)) < 4.5


@pytest.mark.slow
def test_the_bias_without_a_metropolis_step_shrinks_with_the_step_size() -> None:
    """The mean square of a standard normal is 1: too large with long steps, less so with shorter ones, right with the
    Metropolis step at the longest."""
    size, biases = 20, {}
    settings: dict[str, Any] = {"draws": 4000, "warmup": 50, "adapt_step_size": False}
    for adjusted, step, steps in ((False, 1.4, 4), (False, 0.7, 8), (False, 0.2, 20), (True, 1.4, 4)):
        draws = sampled(np.eye(size), adjusted, step_size=step, leapfrog_steps=steps, **settings)
        squares = (draws**2).mean(1)
        biases[adjusted, step] = (squares.mean() - 1, deviation(squares, 1.0, 2 / size))
    assert biases[False, 1.4][1] > BIASED_FROM
    assert biases[False, 1.4][0] > 2 * biases[False, 0.7][0] > 0
    assert abs(biases[False, 0.2][1]) < 4.5
    assert abs(biases[True, 1.4][1]) < 4.5


@pytest.mark.parametrize("adjusted", [True, False])
def test_a_mass_matrix_makes_steps_longer_where_scales_differ(adjusted: bool) -> None:
    scaled, steps = np.diag([1e-4, 1e-2, 1e-2, 1.0, 1.0, 4.0]), {}
    for adapts in (False, True):
        loop = loop_of(scaled, adjusted, draws=1, warmup=150, leapfrog_steps=10, adapt_mass_matrix=adapts)
        loop.run()
        steps[adapts] = loop.record.step_size
    assert steps[True] > 10 * steps[False]


@pytest.mark.parametrize("adjusted", [True, False])
def test_a_restored_loop_goes_on_with_the_same_draws(adjusted: bool) -> None:
    settings: dict[str, Any] = {"draws": 6, "warmup": 30, "leapfrog_steps": 3, "adapt_mass_matrix": True}
    whole, first, second = (loop_of(CORRELATED, adjusted, **settings) for _ in range(3))
    whole.run()
    for _ in range(33):
        first.advance()
    second.restore(first.state_arrays())
    second.run()
    for name in ("a", "b"):
        kept = [np.stack([weights[name] for weights in loop.record.kept]) for loop in (whole, second)]
        assert np.array_equal(*kept)


def test_the_mean_number_of_steps_is_that_which_was_asked_for() -> None:
    loop = loop_of(np.eye(SIZE), True, draws=500, warmup=0, leapfrog_steps=7, step_size=0.1)
    loop.run()
    counts = np.array(loop.record.leapfrog_steps)
    assert {1, 13} <= set(counts) <= set(range(1, 14))
    # 500 uniform numbers from 1 to 13 have a mean of standard error 0.17.
    assert abs(counts.mean() - 7) < 4.5 * np.sqrt(14 / 500)
