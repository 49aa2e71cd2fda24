"""The steps of a chain: how many there are, how long they are, and which weights are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bnnbench_plugins.sgmcmc.schedules import steps, stretches

import bnnbench as bb


def joined(**settings: Any) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """The learning rates and temperatures of all steps, and the numbers of the steps after which weights are kept."""
    posterior = bb.posterior("sgld", learning_rate=0.5, **settings)
    parts = list(stretches(posterior))
    assert [part.first for part in parts] == [0, *np.cumsum([len(part.rates) for part in parts])[:-1]]
    rates, temperatures = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("rates", "temperatures")
    )
    assert len(rates) == len(temperatures) == steps(posterior)
    return rates, temperatures, [part.first + len(part.rates) for part in parts if part.kept]


def test_constant_steps() -> None:
    rates, temperatures, kept = joined(draws=6, chains=2, warmup=250, thin=7)
    assert (rates == np.float32(0.5)).all()
    assert (temperatures == 1).all()
    assert kept == [257, 264, 271]


def test_decreasing_steps_fall_by_a_third_power() -> None:
    rates, temperatures, _ = joined(draws=2, warmup=10, thin=35, schedule="decreasing")
    assert rates[0] == np.float32(0.5)
    assert rates[70] == np.float32(0.25)  # (1 + 70 / 10)^(-1/3) is a half.
    assert (np.diff(rates) < 0).all()
    assert (temperatures == 1).all()


def test_cycles_explore_without_noise_and_keep_draws_as_their_steps_shrink() -> None:
    rates, temperatures, kept = joined(draws=6, warmup=120, thin=20, schedule="cyclical", cycles=3)
    assert len(rates) == 3 * 160
    assert kept == [140, 160, 300, 320, 460, 480]
    assert np.array_equal(rates[:160], rates[160:320])
    assert rates[0] == np.float32(0.5)
    assert rates[80] == pytest.approx(0.25)
    assert rates[159] < 0.001
    assert np.array_equal(temperatures, np.tile(np.repeat([0, 1], [120, 40]), 3))


def test_draws_are_shared_evenly_by_cycles() -> None:
    with pytest.raises(ValueError, match=r"the draws of a chain \(5\) must be a multiple of cycles \(2\)"):
        bb.posterior("sghmc", draws=10, chains=2, schedule="cyclical", cycles=2)
    bb.posterior("sghmc", draws=10, chains=2, schedule="constant", cycles=2)
