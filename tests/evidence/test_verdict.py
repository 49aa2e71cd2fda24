"""The rule for convergence: its false alarms are as rare as it says, and faults of every kind are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import signal

from bnnbench.evidence.verdict import ERROR, Verdict, verdict


def judged(values: Any, superchains: int | None = None) -> Verdict:
    """The verdict about values (chains, draws, Q), whose functionals are called f0, f1, ..."""
    return verdict([f"f{place}" for place in range(values.shape[-1])], values, superchains)


def correlated(seed: int, chains: int = 4, draws: int = 250, quantities: int = 40, rho: float = 0.0) -> np.ndarray:
    """Stationary chains of AR(1); half of the variance of each functional is that of three shared series."""
    generator = np.random.default_rng(seed)
    steps = generator.normal(size=(chains, draws, 3 + quantities)) * np.sqrt(1 - rho**2)
    steps[:, 0] = generator.normal(size=(chains, 3 + quantities))
    series = signal.lfilter([1], [1, -rho], steps, axis=1)
    loadings = generator.normal(size=(3, quantities))
    loadings /= np.linalg.norm(loadings, axis=0)
    return np.asarray(np.sqrt(0.5) * (series[..., :3] @ loadings + series[..., 3:]))


def test_independent_draws_fail_no_more_often_than_is_said() -> None:
    """Of 60 posteriors 3 may fail; that more than 9 do has a probability below 1e-3 if the rate is 5%."""
    assert ERROR == 0.05
    found = [judged(correlated(seed)) for seed in range(60)]
    assert sum(one.level == "short" for one in found) <= 9
    # The worst alone would have failed more of them.
    assert sum(one.figures["rhat"] > 1.01 for one in found) > sum(one.level == "short" for one in found)


def test_an_rhat_that_chance_explains_is_told_as_such() -> None:
    found = next(one for seed in range(60) if (one := judged(correlated(seed))).figures["rhat"] > 1.01)
    assert found.level == "converged"
    assert found.why.startswith("R-hat 1.01")
    assert " (within chance), ESS " in found.why


def _shifted(values: np.ndarray) -> np.ndarray:
    values[3, :, 7] += 1
    return values


def _scaled(values: np.ndarray) -> np.ndarray:
    values[3, :, 7] *= 2
    return values


def _two_modes(values: np.ndarray) -> np.ndarray:
    values[:2, :, 7] += 2
    return values


def _drifting(values: np.ndarray) -> np.ndarray:
    values[..., 7] += np.linspace(0, 1.5, values.shape[1])
    return values


@pytest.mark.parametrize("fault", [_shifted, _scaled, _two_modes, _drifting])
def test_a_fault_of_one_functional_is_found_and_named(fault: Any) -> None:
    """In each of ten posteriors of 1,000 draws: a shifted or wider chain, two modes, and a drift of all chains."""
    for seed in range(10):
        found = judged(fault(correlated(seed)))
        assert found.level == "short"
        assert found.figures["worst"] == "f7"
        assert found.ranked[0] == 7
        assert " of f7, ESS " in found.why


def test_an_effective_sample_size_of_20_is_never_enough() -> None:
    for seed in range(10):
        assert judged(correlated(seed, 4, 95, rho=0.9)).level == "short"


def test_the_size_that_is_too_small_is_named() -> None:
    """Two alike chains in which one functional alone moves slowly: its R-hat is small, and its ESS below 100."""
    values = correlated(0, 2, 600, quantities=5)
    slow = np.repeat(np.random.default_rng(2).permutation(np.linspace(-1, 1, 60)), 10)
    values[..., 3] = [slow, slow]
    found = judged(values)
    assert found.level == "short"
    assert found.why.endswith(" of f3")
    assert found.figures["ess"] < 100


def test_one_chain_is_not_enough_and_the_reason_has_its_figures() -> None:
    found = judged(correlated(0, chains=1, draws=1000))
    assert found.level == "short"
    assert found.why.startswith("one chain cannot show a mode that it missed: R-hat 1.0")
    assert found.figures["between_share"] == 0


def test_what_does_not_vary_is_left_out() -> None:
    values = correlated(0, quantities=5)
    still = np.ones((4, 250, 2))
    found = judged(np.concatenate([values, still], -1))
    assert found.figures == judged(values).figures
    assert found.figures["functionals"] == 5
    nothing = judged(still)
    assert (nothing.level, nothing.why) == ("short", "the draws differ, but none of their predictions does")
    assert nothing.figures["rhat"] is None


def test_what_is_not_a_number_is_not_converged() -> None:
    values = correlated(0, quantities=5)
    values[2, 100, 3] = np.nan
    found = judged(values)
    assert (found.level, found.why) == ("short", "f3 is not a number")


def test_few_draws_cannot_be_judged() -> None:
    found = judged(correlated(0, draws=7))
    assert (found.level, found.why, found.figures["rhat"]) == ("short", "too few draws for R-hat", None)


def test_chains_that_do_not_move_have_an_infinite_rhat() -> None:
    found = judged(np.repeat(np.arange(4.0), 20).reshape(4, 20, 1))
    assert found.why.startswith("R-hat infinite of f0, ESS ")
    assert found.figures["between_share"] == 1


def test_many_short_chains_are_judged_by_nested_rhat() -> None:
    """64 chains of four draws: alike ones converge, a superchain that starts elsewhere and stays there does not."""
    for seed in range(5):
        good = correlated(seed, 64, 4)
        found = judged(good, superchains=4)
        assert found.level == "converged", found.why
        assert found.figures["rhat"] is None
        assert found.why.startswith("nested R-hat 1.0")
        good[:16, :, 7] += 1.5
        away = judged(good, superchains=4)
        assert away.level == "short"
        assert " of f7, ESS " in away.why
        assert away.figures["nested_rhat"] > 1.05


def test_chains_of_one_start_are_like_one_chain() -> None:
    found = judged(correlated(0), superchains=1)
    assert found.level == "short"
    assert found.why.startswith("one start cannot show a mode that it missed: ")
    assert found.figures["nested_rhat"] is None
    # As many groups as chains say nothing new.
    assert judged(correlated(0), superchains=4) == judged(correlated(0))
