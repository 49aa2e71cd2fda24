"""A fixed split of data that come without one."""

from __future__ import annotations

from typing import Any, Final

from bnnbench_plugins.datasets.samples import generator

SPLIT: Final = 3


def split(x: Any, y: Any, test_share: float) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Training and test parts after one fixed shuffle, the same on every machine and for every seed."""
    order = generator(0, SPLIT).permutation(len(y))
    test, train = order[: round(test_share * len(y))], order[round(test_share * len(y)) :]
    return (x[train], y[train]), (x[test], y[test])
