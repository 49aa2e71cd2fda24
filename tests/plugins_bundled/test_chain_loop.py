"""The loop of a chain with each engine: normal targets whose moments are known, bad first steps, and restored loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from normals import ENGINES, loop_of, vectors

from bnnbench.statistics.mixing import mixing

pytestmark = pytest.mark.integration
SIZE = 6
CORRELATED = 0.5 * np.eye(SIZE) + 0.5
SCALED = np.diag([1e-4, 1e-2, 1e-2, 1.0, 1.0, 4.0])


@pytest.mark.parametrize("covariance", [np.eye(SIZE), CORRELATED], ids=["standard", "correlated"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_normal_target_has_its_moments(engine: str, covariance: np.ndarray) -> None:
    """Means and products within 4.5 standard errors at the ESS of each: 27 figures, an error rate below 2e-4."""
    # With a fixed number of steps a trajectory may be half a period of some direction, and only change its sign.
    settings = {"draws": 2000, "warmup": 100, "trajectory_length": 1.5, "step_size": 0.01}
    with loop_of(engine, covariance, **settings) as loop:
        loop.run()
    draws = vectors(loop)
    products = draws[:, :, None] * draws[:, None, :]
    for found, true, variance in (
        *((draws[:, i], 0.0, covariance[i, i]) for i in range(SIZE)),
        *(
            (products[:, i, j], covariance[i, j], covariance[i, i] * covariance[j, j] + covariance[i, j] ** 2)
            for i in range(SIZE)
            for j in range(i + 1)
        ),
    ):
        ess = mixing(found.reshape(2, -1, 1))[1]
        assert ess is not None
        assert ess > 100
        assert abs(found.mean() - true) < 4.5 * np.sqrt(variance / ess)


@pytest.mark.parametrize("start", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("first", [0.005, 0.5, 50.0])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_warm_up_of_twenty_finds_the_step_from_anywhere(engine: str, first: float, start: float) -> None:
    """First steps and starts that are wrong by a hundred in both directions: the acceptance is near its target.

    From far away a warm-up of twenty ends while the chain still comes nearer, with a step that is rather short.
    """
    settings = {"draws": 50, "warmup": 20, "leapfrog_steps": 10, "step_size": first}
    with loop_of(engine, np.eye(50), start=start, **settings) as loop:
        loop.run()
    assert 0.5 < np.mean(loop.record.acceptance) < 0.99
    assert not any(loop.record.divergences)
    assert len({tuple(draw) for draw in vectors(loop)}) > 25


@pytest.mark.parametrize("engine", ENGINES)
def test_a_mass_matrix_makes_steps_longer_where_scales_differ(engine: str) -> None:
    """Without one the shortest scale limits the step, 0.01 here; with one all scales are alike."""
    steps = {}
    for adapts in (False, True):
        settings = {"draws": 1, "warmup": 150, "leapfrog_steps": 10, "adapt_mass_matrix": adapts}
        with loop_of(engine, SCALED, **settings) as loop:
            loop.run()
        steps[adapts] = loop.record.step_size
    assert steps[False] < 0.03
    assert steps[True] > 0.3


@pytest.mark.parametrize("at", [0, 7, 31, 45, 60])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_loop_that_is_restored_goes_on_with_the_same_bits(engine: str, at: int) -> None:
    """Transition 7 is in the initial stage of the warm-up, 31 in a window, 45 in its final stage, 60 a kept one."""
    settings: dict[str, Any] = {"draws": 30, "warmup": 50, "thin": 2, "leapfrog_steps": 4, "adapt_mass_matrix": True}

    def state(loop: Any) -> dict[str, np.ndarray]:
        return {name: array for name, array in loop.state_arrays().items() if name != "record/seconds"}

    with loop_of(engine, SCALED, **settings) as whole:
        for _ in range(at):
            whole.advance()
        saved = {name: array.copy() for name, array in whole.state_arrays().items()}
        whole.run()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in saved.values())
    with loop_of(engine, SCALED, start=5.0, **settings) as restored:
        restored.advance()
        restored.restore(saved)
        assert restored.transition == at
        restored.run()
    expected, found = state(whole), state(restored)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        assert array.dtype == found[name].dtype
        assert array.tobytes() == found[name].tobytes(), name


@pytest.mark.parametrize("engine", ENGINES)
def test_each_chain_and_each_transition_has_numbers_of_its_own(engine: str) -> None:
    settings = {"draws": 20, "warmup": 0, "leapfrog_steps": 3, "step_size": 0.1}
    found = []
    for chain in (0, 1):
        with loop_of(engine, np.eye(SIZE), chain=chain, **settings) as loop:
            loop.run()
        found.append(vectors(loop))
    moves = np.diff(np.concatenate(found), axis=0)
    assert len({tuple(move.round(5)) for move in moves}) == len(moves)


@pytest.mark.parametrize("engine", ["pyro", "numpyro-hmc"])
def test_a_trajectory_length_gives_the_number_of_steps(engine: str) -> None:
    """Between 0.8 and 1.2 times the mean, evenly; never none, and at most 1000."""
    for length, step, low, high in ((1.0, 0.1, 8, 12), (0.05, 0.1, 1, 1), (1.0, 1e-4, 1000, 1000)):
        settings = {"draws": 20, "warmup": 0, "trajectory_length": length, "step_size": step}
        with loop_of(engine, np.eye(SIZE), **settings) as loop:
            loop.run()
        steps = loop.record.leapfrog_steps
        assert (min(steps), max(steps)) == (low, high)
    with loop_of(engine, np.eye(50), draws=50, warmup=100, trajectory_length=1.5, step_size=1e-3) as loop:
        loop.run()
    assert 0.9 < np.mean(loop.record.leapfrog_steps) * loop.record.step_size / 1.5 < 1.1


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 1000, 99_999])
def test_numpyro_takes_the_number_of_steps_that_is_asked_for(steps: int) -> None:
    """NumPyro divides a length by a step size, in float32."""
    from bnnbench_plugins.numpyro.engine import _arguments

    for step in np.random.default_rng(steps).uniform(1e-5, 10, 200):
        _, _, searched, length, _, _ = _arguments((0, 0), step, np.ones(1, "f4"), steps, trial=False)
        assert np.ceil(length / searched) == steps
        assert length / np.float32(steps) == pytest.approx(step, rel=1e-6)
