"""The geometry of the balls: what is nearest, steepest and longest, against convex programs and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import bnnbench as bb
from bnnbench.core.balls import BALLS, NORMS

ALL = ("linf", "l2", "l1")


def batch(seed: int, size: int, low: float = 0.0, high: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Five inputs of the box, some coordinates at its ends, and five directions; all in float64."""
    rng = torch.Generator().manual_seed(seed)
    x = (low + (high - low) * (1.6 * torch.rand(5, size, generator=rng, dtype=torch.float64) - 0.3)).clamp(low, high)
    return x, torch.randn(5, size, generator=rng, dtype=torch.float64)


def best_product(x: np.ndarray, slope: np.ndarray, radius: float, low: float, high: float) -> float:
    """The largest product of a slope with a step from x in the l1 ball and the box, by linear programming.

    The step is a difference of two vectors that are not negative.
    """
    found = linprog(
        np.concatenate([-slope, slope]),
        A_ub=np.ones((1, 2 * len(x))),
        b_ub=[radius],
        bounds=[(0, high - value) for value in x] + [(0, value - low) for value in x],
    )
    assert found.status == 0
    return -float(found.fun)


def test_the_norms_are_those_of_threats() -> None:
    assert frozenset(ALL) == NORMS
    for norm in NORMS:
        assert bb.Threat(epsilon=1.0, norm=norm).ball is BALLS[norm]  # type: ignore[arg-type]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 9999), size=st.sampled_from([1, 2, 3, 12]), radius=st.sampled_from([0.0, 0.1, 0.7, 2.5, 20.0])
)
def test_the_l1_ascent_is_the_best_step_in_ball_and_box(seed: int, size: int, radius: float) -> None:
    x, slope = batch(seed, size, -1.0, 2.0)
    threat = bb.Threat(epsilon=radius, norm="l1", bounds=(-1.0, 2.0))
    step = threat.ascent(x, slope, radius)
    assert (threat.distance(x, x + step) <= radius + 1e-12).all()
    assert torch.equal((x + step).clamp(-1 - 1e-12, 2 + 1e-12), x + step)
    for one, along, moved in zip(x.numpy(), slope.numpy(), step.numpy(), strict=True):
        assert along @ moved == pytest.approx(best_product(one, along, radius, -1.0, 2.0), abs=1e-7)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 9999),
    size=st.sampled_from([1, 2, 3, 12]),
    radius=st.sampled_from([0.0, 0.1, 0.7, 2.5, 20.0]),
    far=st.sampled_from([0.01, 0.3, 3.0]),
)
def test_the_l1_projection_is_the_nearest_point_of_ball_and_box(
    seed: int, size: int, radius: float, far: float
) -> None:
    """A point z of a convex set is the one nearest to u if no point of the set lies further along u - z than z does."""
    x, direction = batch(seed, size)
    given_points = x + far * direction
    ball = BALLS["l1"]
    nearest = x + ball.within(x, given_points - x, radius, (0.0, 1.0))
    assert (ball.length(nearest - x) <= radius + 1e-12).all()
    assert nearest.min() >= -1e-15
    assert nearest.max() <= 1 + 1e-15
    for one, point, found in zip(x.numpy(), given_points.numpy(), nearest.numpy(), strict=True):
        slope = point - found
        assert best_product(one, slope, radius, 0.0, 1.0) <= slope @ (found - one) + 1e-7


def test_the_l1_projection_by_hand() -> None:
    """The first coordinate stops at the end of the box after 0.2; the others share what is left of the radius."""
    x = torch.tensor([[0.8, 0.5, 0.5, 0.0]])
    other = torch.tensor([[1.8, 0.9, 0.3, -5.0]])
    threat = bb.Threat(epsilon=0.6, norm="l1")
    assert torch.allclose(threat.project(x, other), torch.tensor([[1.0, 0.8, 0.4, 0.0]]), atol=1e-5)
    assert torch.equal(bb.Threat(epsilon=0.0, norm="l1").project(x, other), x)
    wide = bb.Threat(epsilon=9.0, norm="l1").project(x, other)
    assert torch.allclose(wide, torch.tensor([[1.0, 0.9, 0.3, 0.0]]))


@pytest.mark.parametrize("norm", ALL)
def test_the_dual_norm_is_what_the_steepest_step_gains(norm: Any) -> None:
    direction = batch(0, 7)[1].float()
    direction[0] = 0
    threat = bb.Threat(epsilon=1.0, norm=norm, bounds=(-10.0, 10.0))
    steepest = threat.steepest(direction)
    assert threat.dual(direction).dtype == torch.float64
    assert torch.allclose((steepest * direction).sum(1).double(), threat.dual(direction), rtol=1e-5)
    assert threat.distance(steepest * 0, steepest).tolist() == pytest.approx([0, 1, 1, 1, 1], abs=1e-6)
    noise = threat.uniform(torch.zeros(2000, 7), torch.Generator().manual_seed(0))
    assert ((noise @ direction.T).amax(0) <= threat.dual(direction) + 1e-6).all()
    by_hand = {"linf": 3 + 4, "l2": 5, "l1": 4}[norm]
    assert threat.dual(torch.tensor([[3.0, -4.0]])).item() == pytest.approx(by_hand)


@pytest.mark.parametrize("norm", ALL)
def test_the_covering_radius_reaches_the_farthest_corner(norm: Any) -> None:
    threat = bb.Threat(epsilon=0.1, norm=norm, bounds=(-1.0, 2.0))
    low, high = torch.full((1, 2, 3), -1.0), torch.full((1, 2, 3), 2.0)
    assert threat.at_any_distance((2, 3)).epsilon == pytest.approx(threat.distance(low, high).item())


@pytest.mark.parametrize("norm", ALL)
def test_each_image_has_a_radius_of_its_own(norm: Any) -> None:
    x, direction = batch(3, 6)
    threat = bb.Threat(epsilon=9.0, norm=norm)
    radii = torch.tensor([0.0, 0.1, 0.5, 1.0, 8.0], dtype=torch.float64)
    moved = threat.shortened(x, direction, radii)
    assert (threat.distance(x, x + moved) <= radii + 1e-9).all()
    for at, radius in enumerate(radii.tolist()):
        alone = threat.ball.within(x[[at]], direction[[at]], radius, threat.box)
        assert torch.allclose(alone, moved[[at]], atol=1e-12)
        length = threat.ascent(x, direction, radii)[[at]]
        assert torch.allclose(threat.ascent(x[[at]], direction[[at]], radius), length, atol=1e-12)
    whole = threat.ascent(x.float(), direction.float(), torch.ones(5, dtype=torch.float64))
    assert whole.dtype == torch.float32
    assert torch.allclose(whole, threat.ascent(x.float(), direction.float(), 1))


def test_random_signs_of_the_l1_ball_move_coordinates_to_the_end_of_the_box() -> None:
    """All but one coordinate stay or go all the way, and the radius is used up."""
    x = torch.rand(200, 30, generator=torch.Generator().manual_seed(1))
    threat = bb.Threat(epsilon=4.0, norm="l1")
    made = threat.signs(x, torch.Generator().manual_seed(0))
    assert threat.distance(x, made).tolist() == pytest.approx([4.0] * 200, abs=1e-5)
    whole = (made == x) | (made < 1e-5) | (made > 1 - 1e-5)
    assert (whole.sum(1) >= 29).all()
    ups = (made > x).double().sum(1) / (made != x).sum(1)
    assert 0.45 < ups.mean() < 0.55
    assert not torch.equal(made, threat.signs(x, torch.Generator().manual_seed(1)))


def test_the_parts_of_l1_noise_have_the_mean_of_a_simplex() -> None:
    """The size of each of d coordinates has the mean 1 / (d + 1): 5 standard errors, error rate 6e-7 for each."""
    size, count = 4, 20_000
    x = torch.zeros(count, size)
    noise = bb.Threat(epsilon=1.0, norm="l1", bounds=(-1.0, 1.0)).uniform(x, torch.Generator().manual_seed(0))
    deviation = np.sqrt(size / ((size + 1) ** 2 * (size + 2)) / count)
    assert (noise.abs().double().mean(0) - 1 / (size + 1)).abs().max() < 5 * deviation
    assert noise.mean(0).abs().max() < 5 * np.sqrt(2 / ((size + 1) * (size + 2)) / count)
