"""Linear classifiers of inputs of any shape, with the exact distance of each input to the nearest other class."""

from __future__ import annotations

import numpy as np
import torch

import bnnbench as bb

SHAPES = ((2,), (64,), (1, 8, 8), (3, 8, 8))


def linear_problem(
    shape: tuple[int, ...],
    *,
    classes: int = 3,
    images: int = 30,
    scale: float = 1.0,
    low: float = 0.0,
    high: float = 1.0,
    seed: int = 0,
) -> tuple[bb.Predictive, torch.Tensor, torch.Tensor, dict[str, np.ndarray]]:
    """A classifier whose boundaries meet in the middle of the unit box, inputs in [low, high], their labels, and the
    exact distance of each input in each norm."""
    generator = np.random.default_rng(seed)
    size = int(np.prod(shape))
    weight = scale * generator.normal(size=(classes, size))
    bias = -0.5 * weight.sum(1)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(size, classes))
    predictive = bb.Predictive(network, {"1.weight": weight[None].astype("f4"), "1.bias": bias[None].astype("f4")})
    x = torch.from_numpy(generator.uniform(low, high, (images, *shape)).astype("f4"))
    y = predictive.log_probs(x).argmax(-1)
    points, labels = x.double().numpy().reshape(images, size), y.numpy()
    exact = {
        norm: np.array([_distance(weight, bias, *one, norm) for one in zip(points, labels, strict=True)])
        for norm in ("linf", "l2", "l1")
    }
    # Nearer to a boundary, the rounding of float32 decides.
    clear = exact["linf"] > 1e-4
    return predictive, x[clear], y[clear], {norm: distance[clear] for norm, distance in exact.items()}


def _distance(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: int, norm: str) -> float:
    return min(_to_class(weight[k] - weight[y], bias[k] - bias[y], x, norm) for k in range(len(weight)) if k != y)


def _to_class(slope: np.ndarray, offset: float, x: np.ndarray, norm: str) -> float:
    """The distance to where slope.x + offset is zero inside of the box.

    The nearest such point is x + t u, clipped to the box, where u is the slope in l2 and its sign in linf: Lagrange's
    condition. t is found by bisection. In l1 the coordinates move to the end of the box, the steepest first.
    """
    if norm == "l1":
        order = np.argsort(-np.abs(slope))
        room = np.where(slope > 0, 1 - x, x)[order]
        gained = np.cumsum(np.abs(slope)[order] * room) + slope @ x + offset
        last = int(np.argmax(gained >= 0))
        return float(room[: last + 1].sum() - gained[last] / np.abs(slope[order[last]]))
    along = np.sign(slope) if norm == "linf" else slope / np.linalg.norm(slope)
    small, large = 0.0, 100.0
    for _ in range(100):
        middle = (small + large) / 2
        reached = slope @ np.clip(x + middle * along, 0, 1) + offset >= 0
        small, large = (small, middle) if reached else (middle, large)
    step = np.clip(x + large * along, 0, 1) - x
    return float(np.abs(step).max() if norm == "linf" else np.linalg.norm(step))


def found(
    attack: bb.Attack, predictive: bb.Predictive, x: torch.Tensor, y: torch.Tensor, norm: str
) -> tuple[torch.Tensor, np.ndarray]:
    """The inputs that a minimal-norm attack finds and their distances; each of them is misclassified, in the box."""
    threat = bb.Threat(epsilon=1, norm=norm).at_any_distance(tuple(x.shape[1:]))  # type: ignore[arg-type]
    nearest = attack(predictive, x, y, threat)
    assert nearest.shape == x.shape
    assert nearest.min() >= 0
    assert nearest.max() <= 1
    assert threat.broken(predictive.log_probs(nearest), y).all()
    return nearest, threat.distance(x, nearest).numpy()
