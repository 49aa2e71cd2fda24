"""The ball, the box, and steps and noise inside of them."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bnnbench as bb


@settings(max_examples=100)
@given(
    epsilon=st.floats(0, 2),
    norm=st.sampled_from(["linf", "l2", "l1"]),
    seed=st.integers(0, 999),
    width=st.floats(0.01, 10),
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
    """The share within half the radius is 2^-d in a ball of d dimensions: 5 standard errors, error rate 6e-7."""
    x = torch.zeros(20_000, 3)
    rng = torch.Generator().manual_seed(0)
    for norm in ("linf", "l2", "l1"):
        threat = bb.Threat(epsilon=1.0, norm=norm, bounds=(-2.0, 2.0))
        share = (threat.distance(x, threat.uniform(x, rng)) < 0.5).double().mean().item()
        assert abs(share - 1 / 8) < 5 * math.sqrt(1 / 8 * 7 / 8 / len(x))


def test_the_steepest_step_has_length_one_however_small_the_direction() -> None:
    direction = torch.tensor([[3e-30, -4e-30], [3e30, -4e30], [0.0, 0.0]])
    l2 = bb.Threat(epsilon=1.0, norm="l2").steepest(direction)
    assert torch.allclose(l2, torch.tensor([[0.6, -0.8], [0.6, -0.8], [0.0, 0.0]]))
    linf = bb.Threat(epsilon=1.0).steepest(direction)
    assert linf.tolist() == [[1, -1], [1, -1], [0, 0]]
    l1 = bb.Threat(epsilon=1.0, norm="l1").steepest(direction)
    assert l1.tolist() == [[0, -1], [0, -1], [0, 0]]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"epsilon": -0.1}, "epsilon is at least 0, not -0.1"),
        ({"epsilon": math.nan}, "epsilon is a finite number, not nan"),
        ({"epsilon": math.inf}, "epsilon is a finite number, not inf"),
        ({"epsilon": True}, "epsilon is one number, the radius, not True"),
        ({"epsilon": "8%"}, "epsilon: a number or a fraction such as 8/255 is meant, not '8%'"),
        ({"epsilon": [0.1, 0.2]}, "epsilon is one number, the radius, not [0.1, 0.2]"),
        ({"epsilon": 0.1, "norm": "spectral"}, "norm is 'linf', 'l2' or 'l1', not 'spectral'"),
        ({"epsilon": 0.1, "norm": "Linf"}, "norm is 'linf', 'l2' or 'l1', not 'Linf'; did you mean 'linf'?"),
        ({"epsilon": 0.1, "norm": math.inf}, "norm is 'linf', 'l2' or 'l1', not inf; did you mean 'linf'?"),
        ({"epsilon": 0.1, "norm": 2}, "norm is 'linf', 'l2' or 'l1', not 2; did you mean 'l2'?"),
        (
            {"epsilon": 0.1, "access": "score"},
            "access is 'gradient', 'scores' or 'decisions', not 'score'; did you mean 'scores'?",
        ),
        (
            {"epsilon": 0.1, "goal": "target"},
            "goal is 'untargeted', 'targeted', 'raise-uncertainty' or 'lower-uncertainty', not 'target'; did you mean "
            "'targeted'?",
        ),
        ({"epsilon": 0.1, "bounds": (1.0, 0.0)}, "bounds (1, 0) are not an interval: the smaller comes first"),
        ({"epsilon": 0.1, "bounds": (0.0, math.inf)}, "each end of bounds is a finite number, not inf"),
        ({"epsilon": 0.1, "stream": "fresh"}, "the stream 'fresh' needs attack_draws"),
        ({"epsilon": 0.1, "attack_draws": 0}, "attack_draws is at least 1, not 0"),
        ({"epsilon": 0.1, "queries": 1.5}, "queries is an integer, not 1.5"),
    ],
)
def test_threats_that_make_no_sense_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as caught:
        bb.Threat(**wrong)
    assert str(caught.value).startswith(f"Threat: {told}")
    assert "\n" not in str(caught.value)


def test_a_radius_may_be_a_fraction() -> None:
    assert bb.Threat(epsilon="8/255") == bb.Threat(epsilon=Fraction(8, 255)) == bb.Threat(epsilon=8 / 255)  # type: ignore[arg-type]


def test_a_name_that_a_threat_does_not_have_is_told() -> None:
    with pytest.raises(TypeError, match=r"Threat has no argument 'eps'; did you mean 'epsilon'\?"):
        bb.Threat(eps=0.1)  # type: ignore[call-arg]


def test_numbers_of_numpy_and_torch_make_the_threats_that_plain_numbers_make() -> None:
    plain = bb.Threat(0.5, bounds=(0.0, 2.0), attack_draws=3, queries=7)
    for number in (np.float64, np.float32, np.array, torch.tensor):
        threat: Any = bb.Threat(
            number(0.5), bounds=number([0.0, 2.0]), attack_draws=np.int64(3), queries=torch.tensor(7)
        )
        assert threat == plain
        assert json.dumps(threat.identity()) == json.dumps(plain.identity())
        assert type(threat.epsilon) is float
        assert type(threat.attack_draws) is int
    assert bb.Threat(np.float32(0.1)).epsilon == float(np.float32(0.1))
    assert bb.Threat(1).identity() == bb.Threat(1.0).identity()


def test_a_threat_is_kept_by_pickle_and_copied_with_checks() -> None:
    threat = bb.Threat(0.1, norm="l2")
    assert pickle.loads(pickle.dumps(threat)) == threat
    assert hash(copy.copy(threat)) == hash(threat)
    with pytest.raises(ValueError, match="epsilon is at least 0"):
        dataclasses.replace(threat, epsilon=-1.0)


def test_boxes_that_differ_by_rounding_are_the_same() -> None:
    box = ((0 - 0.1307) / 0.3081, (1 - 0.1307) / 0.3081)
    threat = bb.Threat(0.1, bounds=tuple(map(float, np.float32(box))))  # type: ignore[arg-type]
    assert threat.bounds != box
    assert threat.with_box(box).bounds == box
    with pytest.raises(ValueError, match="the threat's box is"):
        threat.with_box((0.0, 1.0))


@pytest.fixture
def double_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_the_hosts_default_dtype_does_not_matter(double_by_default: None) -> None:
    x = torch.rand(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    threat = bb.Threat(epsilon=0.1)
    with_double = threat.uniform(x, torch.Generator().manual_seed(3))
    torch.set_default_dtype(torch.float32)
    assert torch.equal(with_double, threat.uniform(x, torch.Generator().manual_seed(3)))


@settings(max_examples=60)
@given(
    size=st.sampled_from([1, 2, 784, 3072, 12288]),
    epsilon=st.sampled_from([0.0, 1e-3, 0.5, 1.0, 3.0, 6.0]),
    level=st.sampled_from([None, 0.0, 0.5, 1.0]),
    norm=st.sampled_from(["linf", "l2", "l1"]),
    bounds=st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (100.0, 101.0)]),
    seed=st.integers(0, 99),
)
def test_the_cores_own_moves_keep_the_cores_rules(
    size: int, epsilon: float, level: float | None, norm: Any, bounds: tuple[float, float], seed: int
) -> None:
    """Rounding of thousands of float32 coordinates included."""
    rng = torch.Generator().manual_seed(seed)
    low, high = bounds
    share = torch.rand(3, size, generator=rng) if level is None else torch.full((3, size), level)
    x = (low + (high - low) * share).clamp(low, high)
    threat = bb.Threat(epsilon=epsilon * (high - low), norm=norm, bounds=bounds)
    direction = torch.randn(3, size, generator=rng)
    for made in (
        threat.signs(x, rng),
        threat.uniform(x, rng),
        threat.project(x, x + threat.epsilon * threat.steepest(direction)),
        threat.project(x, x + 3 * (high - low) * direction),
    ):
        slack = max(1e-6 * (high - low), 2.5e-7 * max(abs(low), abs(high)))
        assert threat.distance(x, made).max() <= threat.epsilon + slack
        assert low <= made.min()
        assert made.max() <= high


@pytest.mark.parametrize("masked", [np.ma.masked, np.ma.array(0.1, mask=True)])
def test_a_masked_radius_is_no_number(masked: object) -> None:
    with pytest.raises(ValueError, match="epsilon is one number"):
        bb.Threat(epsilon=masked)  # type: ignore[arg-type]
