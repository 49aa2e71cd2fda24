"""Linear models as functions without gradient, and how far their margins can fall."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

SHAPES = [(2,), (64,), (1, 8, 8), (3, 8, 8)]

Scores = Callable[[torch.Tensor], torch.Tensor]


def linear_scores(
    shape: tuple[int, ...], *, images: int = 60, low: float = -0.5, seed: int = 0
) -> tuple[Scores, torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    """Scores of two classes that are linear in inputs of a shape, with inputs that they label.

    Returns the function, inputs in [low, low + 1], labels, the slopes (N, D) of each image's margin and the margins
    (N,). The slopes vary smoothly along the coordinates, as those of networks of images do.
    """
    generator, size = np.random.default_rng(seed), math.prod(shape)
    slope = np.sin(np.arange(size) / 3) + 0.3 * generator.normal(size=size)
    x = torch.from_numpy(generator.uniform(low, low + 1, (images, *shape)).astype("f4"))
    weight = torch.from_numpy(slope.astype("f4"))
    offset = float((x.flatten(1) @ weight).mean())

    def scores(points: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            margin = points.float().flatten(1) @ weight - offset
            return torch.stack([margin / 2, -margin / 2], 1)

    margin = scores(x)[:, 0].double().numpy() * 2
    y = torch.from_numpy((margin < 0).astype("i8"))
    return scores, x, y, np.sign(margin)[:, None] * slope, np.abs(margin)


def worst_fall(slopes: np.ndarray, epsilon: float, norm: str) -> np.ndarray:
    """How far each margin can fall in a ball far from the box: epsilon times the dual norm of its slope."""
    return epsilon * np.linalg.norm(slopes, ord={"linf": 1, "l2": 2, "l1": np.inf}[norm], axis=1)
