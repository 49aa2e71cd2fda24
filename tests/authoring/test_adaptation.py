"""The adaptation of step size and mass matrix, without an engine."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from bnnbench.authoring.adaptation import (
    Adaptation,
    DualAveraging,
    Variances,
    reasonable_step_size,
    stages,
)


def lengths(warmup: int, mass_matrix: bool = True) -> list[int]:
    return np.diff([-1, *stages(warmup, mass_matrix)]).tolist()


def test_a_warm_up_of_a_thousand_has_the_windows_of_stan() -> None:
    assert lengths(1000) == [75, 25, 50, 100, 200, 500, 50]
    assert lengths(150) == [75, 25, 50]
    assert lengths(20) == [5, 10, 5]
    assert lengths(1000, mass_matrix=False) == [75, 925]


@pytest.mark.parametrize("mass_matrix", [False, True])
def test_the_stages_cover_a_warm_up_exactly(mass_matrix: bool) -> None:
    for warmup in [*range(10, 400), 777, 5000]:
        found = lengths(warmup, mass_matrix)
        assert sum(found) == warmup
        assert min(found) >= 1
        assert len(found) >= (3 if mass_matrix and warmup >= 20 else 2)
        windows = found[1:-1]
        assert windows == sorted(windows)
        assert all(later >= 2 * earlier for earlier, later in itertools.pairwise(windows))
    assert stages(9, mass_matrix) == []


def test_variances_are_those_of_numpy() -> None:
    vectors = np.random.default_rng(0).normal(3, [1e-3, 1, 1e3], (50, 3))
    variances = Variances(3)
    for vector in vectors:
        variances.update(vector)
    assert np.allclose(variances.unbiased, vectors.var(0, ddof=1), rtol=1e-12)
    assert np.allclose(variances.shrunk, 50 / 55 * vectors.var(0, ddof=1) + 1e-3 * 5 / 55, rtol=1e-12)


@pytest.mark.parametrize("first", [1e-6, 0.01, 0.3, 1.0, 5.0, 1e4])
def test_a_reasonable_step_crosses_the_acceptance(first: float) -> None:
    """One leapfrog step of a standard normal is accepted with a probability above 0.8 below 1, say."""
    found = reasonable_step_size(lambda step: 0.9 if step < 1 else 0.1, first)
    assert 0.5 <= found < 1


@pytest.mark.parametrize("acceptance", [0.0, 1.0, math.nan])
def test_a_search_without_an_end_stops(acceptance: float) -> None:
    assert math.isfinite(reasonable_step_size(lambda step: acceptance, 0.01))
    assert reasonable_step_size(lambda step: acceptance, 0.01) > 0


def test_dual_averaging_is_that_of_the_paper_within_its_bounds() -> None:
    """Hoffman and Gelman's algorithm 5 with the centre log(e_1) and g = 0.1, written out."""
    averaging, generator = DualAveraging(0.1, 0.8), np.random.default_rng(0)
    error = average = 0.0
    for count in range(1, 60):
        acceptance = float(generator.uniform(0.7, 0.9))
        error += (0.8 - acceptance - error) / (count + 10)
        log_step = math.log(0.1) - math.sqrt(count) / 0.1 * error
        average = count**-0.75 * log_step + (1 - count**-0.75) * average
        averaging.update(acceptance)
        assert averaging.log_step == pytest.approx(log_step)
        assert averaging.average == pytest.approx(average)


@pytest.mark.parametrize(("acceptance", "low", "high"), [(1.0, 1.0, 2.0), (0.0, 0.1, 1.0), (math.nan, 0.1, 1.0)])
def test_a_transition_changes_the_step_size_by_a_bounded_factor(acceptance: float, low: float, high: float) -> None:
    averaging = DualAveraging(1.0, 0.8)
    for _ in range(100):
        before = averaging.log_step
        averaging.update(acceptance)
        assert low - 1e-9 <= math.exp(averaging.log_step - before) <= high + 1e-9


def adapted(warmup: int, first: float, right: float, *, mass_matrix: bool = False, noise: float = 0.1) -> Adaptation:
    """An adaptation after a warm-up in which a step of the size `right` has the acceptance probability 0.8."""
    generator = np.random.default_rng(0)

    def acceptance(step: float) -> float:
        return float(np.clip(np.exp(math.log(0.8) * (step / right) ** 2) + noise * generator.normal(), 0, 1))

    adaptation = Adaptation(warmup, 3, step_size=first, target=0.8, adapt_step_size=True, adapt_mass_matrix=mass_matrix)
    scales = np.array([0.1, 1.0, 10.0])
    for transition in range(warmup):
        adaptation.before(transition, acceptance)
        draw = scales * generator.normal(size=3)
        adaptation.after(transition, acceptance(adaptation.step_size), lambda draw=draw: draw)
    return adaptation


@pytest.mark.parametrize("first", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("warmup", [10, 20, 200])
def test_a_step_size_wrong_by_a_hundred_is_found(warmup: int, first: float) -> None:
    assert adapted(warmup, first, 0.01).step_size == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize(("warmup", "error"), [(20, 1.5), (150, 0.4), (1000, 0.2)])
def test_the_mass_matrix_has_the_variances_of_the_windows(warmup: int, error: float) -> None:
    """The relative error of a variance of n draws is sqrt(2 / n): 0.45 for 10, 0.2 for 50, 0.06 for 500; three times
    that, beside the shrinkage of 5 / (n + 5)."""
    found = adapted(warmup, 0.01, 0.01, mass_matrix=True).inverse_mass
    assert found.dtype == np.float32
    assert np.allclose(found, [0.01, 1.0, 100.0], rtol=error)
    assert found.tolist() != [1, 1, 1]


def test_nothing_is_adapted_that_shall_not_be() -> None:
    def never(step: float) -> float:
        raise AssertionError

    def no_weights() -> np.ndarray:
        raise AssertionError

    for warmup, step in ((9, True), (0, True), (100, False)):
        adaptation = Adaptation(warmup, 3, step_size=0.0123, target=0.8, adapt_step_size=step, adapt_mass_matrix=False)
        for transition in range(warmup + 3):
            adaptation.before(transition, never)
            adaptation.after(transition, 0.1, no_weights)
        assert adaptation.step_size == 0.0123
        assert adaptation.inverse_mass.tolist() == [1, 1, 1]


def test_the_adaptation_ends_with_the_warm_up() -> None:
    adaptation = adapted(50, 0.01, 0.01, mass_matrix=True)
    before = adaptation.state_arrays()
    adaptation.after(50, 0.0, lambda: np.full(3, 1e9))
    after = adaptation.state_arrays()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("at", [0, 3, 12, 25, 37, 49])
def test_an_adaptation_goes_on_from_its_arrays(at: int) -> None:
    def run(adaptation: Adaptation, transitions: range) -> Adaptation:
        for number in transitions:
            generator = np.random.default_rng(number)
            adaptation.before(number, lambda step: float(step < 0.1))
            acceptance, draw = float(generator.uniform()), generator.normal(size=3)
            adaptation.after(number, acceptance, lambda draw=draw: draw)
        return adaptation

    def new() -> Adaptation:
        return Adaptation(50, 3, step_size=0.02, target=0.8, adapt_step_size=True, adapt_mass_matrix=True)

    whole, restored = run(new(), range(50)).state_arrays(), new()
    restored.restore({name: array.copy() for name, array in run(new(), range(at)).state_arrays().items()})
    again = run(restored, range(at, 50)).state_arrays()
    assert whole.keys() == again.keys()
    for name, array in whole.items():
        assert array.tobytes() == again[name].tobytes()
        assert array.dtype == again[name].dtype
