"""Attacks on images of three channels, against the exact worst case of a linear classifier."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attacks import CASES, WITH_NORMS, quick
from hypothesis import given, settings
from hypothesis import strategies as st

import bnnbench as bb

NORMS = ("linf", "l2", "l1")


def linear(
    seed: int, shape: tuple[int, ...], images: int, low: float = 0.0, high: float = 1.0
) -> tuple[bb.Predictive, torch.Tensor, torch.Tensor, np.ndarray]:
    """A linear classifier of images with two classes, images in [low, high], its labels, and the margins' slopes."""
    generator = np.random.default_rng(seed)
    weight, bias = generator.normal(size=(2, *shape)), generator.normal(size=2) * 0.1
    bias -= (weight * 0.5).reshape(2, -1).sum(1)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(int(np.prod(shape)), 2))
    draws = {"1.weight": weight.reshape(1, 2, -1).astype("f4"), "1.bias": bias[None].astype("f4")}
    predictive = bb.Predictive(network, draws)
    x = torch.from_numpy(generator.uniform(low, high, (images, *shape)).astype("f4"))
    y = predictive.log_probs(x).argmax(-1)
    return predictive, x, y, (weight[y] - weight[1 - y]).astype(np.float64)


def margin(predictive: bb.Predictive, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    logits = predictive.logits(x)[0].double()
    own, other = (logits.gather(1, labels[:, None])[:, 0] for labels in (y, 1 - y))
    return (own - other).numpy()


def worst_step(slope: np.ndarray, x: np.ndarray, epsilon: float, norm: str) -> np.ndarray:
    """The step in ball and box that lowers a linear margin most.

    In the l-infinity ball each coordinate is alone. In the l2 ball the step is -t * slope, clipped to the box, with the
    largest t whose step is in the ball: Lagrange's condition. In the l1 ball coordinates move to the end of the box,
    the steepest first, until epsilon is used up.
    """
    low, high = -x, 1 - x
    if norm == "linf":
        return np.where(slope > 0, np.maximum(-epsilon, low), np.minimum(epsilon, high))
    if norm == "l1":
        room, order = np.where(slope > 0, -low, high).ravel(), np.argsort(-np.abs(slope).ravel())
        left = epsilon - (np.cumsum(room[order]) - room[order])
        step = np.zeros_like(room)
        step[order] = np.clip(left, 0, room[order])
        return -np.sign(slope) * step.reshape(slope.shape)
    small, large = 0.0, 1e6
    for _ in range(200):
        middle = (small + large) / 2
        if np.linalg.norm(np.clip(-middle * slope, low, high)) <= epsilon:
            small = middle
        else:
            large = middle
    return np.clip(-small * slope, low, high)


def worst(slopes: np.ndarray, x: torch.Tensor, epsilon: float, norm: str) -> np.ndarray:
    """How far the margin of each image can fall."""
    points = x.double().numpy()
    steps = [worst_step(slope, point, epsilon, norm) for slope, point in zip(slopes, points, strict=True)]
    return -np.array([(slope * step).sum() for slope, step in zip(slopes, steps, strict=True)])


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    epsilon=st.sampled_from([0.02, 0.2, 0.6, 1.0]),
    attack=st.sampled_from(WITH_NORMS),
)
def test_no_attack_goes_beyond_the_exact_worst_case_nor_leaves_ball_and_box(
    seed: int, height: int, width: int, epsilon: float, attack: tuple[str, str]
) -> None:
    name, norm = attack
    predictive, x, y, slopes = linear(seed, (3, height, width), images=20)
    threat = bb.Threat(epsilon=epsilon, norm=norm)  # type: ignore[arg-type]
    attacked = quick(name)(predictive, x, y, threat, seed=1)
    assert attacked.shape == x.shape
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    assert (threat.distance(x, attacked) <= epsilon + 1e-5).all()
    fall = margin(predictive, x, y) - margin(predictive, attacked, y)
    assert (fall <= worst(slopes, x, epsilon, norm) + 1e-4).all()


@pytest.mark.parametrize("epsilon", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("norm", NORMS)
def test_pgd_reaches_the_exact_worst_case_of_colour_images(norm: str, epsilon: float) -> None:
    predictive, x, y, slopes = linear(0, (3, 4, 3), images=50)
    threat = bb.Threat(epsilon=epsilon, norm=norm)  # type: ignore[arg-type]
    attacked = bb.attack("pgd", steps=60, objective="log-margin")(predictive, x, y, threat, seed=1)
    fall = margin(predictive, x, y) - margin(predictive, attacked, y)
    assert fall == pytest.approx(worst(slopes, x, epsilon, norm), rel=2e-3, abs=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_fgsm_reaches_it_where_the_box_is_far(norm: str) -> None:
    """In the l-infinity and l1 balls also at the border: the step is the best one in ball and box."""
    low, high = (0.35, 0.65) if norm == "l2" else (0.0, 1.0)
    predictive, x, y, slopes = linear(1, (3, 4, 3), images=50, low=low, high=high)
    epsilon = 0.3
    attacked = bb.attack("fgsm")(predictive, x, y, bb.Threat(epsilon=epsilon, norm=norm), seed=1)  # type: ignore[arg-type]
    fall = margin(predictive, x, y) - margin(predictive, attacked, y)
    assert fall == pytest.approx(worst(slopes, x, epsilon, norm), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_outcomes_of_colour_images_keep_their_exact_robust_accuracy(name: str, norm: str) -> None:
    predictive, x, y, slopes = linear(2, (3, 3, 4), images=80)
    data = bb.Data(train=(x, y), test=(x, y), classes=2)
    epsilon = {"linf": 0.05, "l2": 0.4, "l1": 1.2}[norm]
    outcome = bb.evaluate(predictive, quick(name), data, threat=bb.Threat(epsilon=epsilon, norm=norm), images=80)  # type: ignore[arg-type]
    share = (margin(predictive, x, y) / worst(slopes, x, epsilon, norm))[outcome.index]
    robust = share > 1
    assert 0.1 < robust.mean() < 0.9
    assert not (robust & ~outcome.robust).any()
    if name == "pgd":
        # In the l1 ball the last of its 15 steps is still a hundredth of epsilon long.
        clear = robust | (share < (0.98 if norm == "l1" else 1))
        assert np.array_equal(robust[clear], outcome.robust[clear])
