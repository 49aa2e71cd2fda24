"""Compare the clean predictions of the cells of one fit, which show whether all of them are about one network."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from bnnbench.matrix.specs import CellSpec
from bnnbench.store.environment import gives_the_same_bits

IMAGES = 16
"""The number of images that are compared."""
SAME, SIMILAR = 1e-4, 0.25
"""The largest relative difference of log-probabilities in one environment, and in two."""


class CleanPredictions:
    """The clean predictions of the first cell of each fit, evaluation and stream, with which others are compared."""

    def __init__(self) -> None:
        self._first: dict[Hashable, tuple[CellSpec, np.ndarray, Mapping[str, Any]]] = {}

    def differing(self, spec: CellSpec, environment: Mapping[str, Any], result: Any) -> str | None:
        """A message if the result of a cell has other clean predictions than that of an earlier cell; otherwise None.

        `environment` is that of the cell's record. Results without clean predictions are not compared.
        """
        clean = getattr(result, "clean_log_probs", None)
        if clean is None or spec.threat is None:
            return None
        mine = np.clip(np.asarray(clean[:IMAGES], dtype=float), -1e6, 0.0)
        key = (spec.fit.key, spec.images, spec.draws, spec.threat.stream, spec.threat.attack_draws)
        first, theirs, there = self._first.setdefault(key, (spec, mine, environment))
        relative = SAME if gives_the_same_bits(environment, there) else SIMILAR
        if mine.shape == theirs.shape and (np.abs(mine - theirs) <= relative * np.maximum(1.0, np.abs(theirs))).all():
            return None
        return (
            f"its clean predictions are not those of {first.label}, for the same fit: the network was another one "
            "(--fresh computes both anew)"
        )
