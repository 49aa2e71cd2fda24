"""How well chains mix: R-hat and the effective sample size."""

from __future__ import annotations

import math
import warnings

import numpy as np


def mixing(quantities: np.ndarray) -> tuple[float | None, float | None]:
    """The largest rank-normalised split R-hat and the smallest bulk or tail ESS of quantities (chains, draws, Q).

    Quantities that never change, such as the gradient at a pixel that no draw uses, are left out. A single chain is cut
    into halves. (None, None) if a chain has fewer than eight draws, or if no quantity changes.
    """
    from arviz_stats.base import array_stats

    chains, draws, _ = quantities.shape
    changing = quantities[..., quantities.reshape(chains * draws, -1).std(0) > 0].astype(np.float64)
    if draws < 8 or changing.shape[-1] == 0:
        return None, None
    if chains == 1:
        changing = changing[:, : draws // 2 * 2].reshape(2, draws // 2, -1)
    arrays = np.moveaxis(changing, -1, 0)
    axes = {"chain_axis": 1, "draw_axis": 2}
    with warnings.catch_warnings():
        # A chain that does not move has an infinite R-hat, which is correct: no warning is needed.
        warnings.simplefilter("ignore", RuntimeWarning)
        rhat = float(np.nanmax(array_stats.rhat(arrays, **axes)))
        bulk = array_stats.ess(arrays, method="bulk", **axes)
        tail = array_stats.ess(arrays, method="tail", prob=(0.05, 0.95), **axes)
    ess = float(np.nanmin(np.concatenate([bulk, tail])))
    return (rhat if math.isfinite(rhat) else 1e6), ess
