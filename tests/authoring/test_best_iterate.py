"""The best iterate of an attack."""

from __future__ import annotations

import torch


def test_the_best_iterate_is_kept_misclassified_first() -> None:
    from bnnbench.authoring import Best

    best = Best(torch.zeros(4, 1))
    points = torch.arange(4.0)[:, None]
    best.offer(points, torch.tensor([False, False, True, True]), torch.tensor([1.0, 1.0, 1.0, 1.0]))
    best.offer(points + 10, torch.tensor([True, False, False, True]), torch.tensor([0.0, 2.0, 9.0, 0.5]))
    assert best.inputs[:, 0].tolist() == [10.0, 11.0, 2.0, 3.0]
