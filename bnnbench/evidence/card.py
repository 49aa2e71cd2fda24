"""The posterior card: is it a posterior at all?

Chains are judged where it matters, in function space, by rank-normalised R-hat and ESS (Vehtari et al. 2021) of the
test log-probabilities and the input gradients of their draws. Weights, which may wander among symmetric copies of one
function, are reported apart.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core import seeds
from bnnbench.core.saving import plain
from bnnbench.evidence.evaluate import sample_of

if TYPE_CHECKING:
    from bnnbench.core.dataset import Data
    from bnnbench.core.predictive import Predictive

IMAGES = 50
COORDINATES = 50
"""How many log-probabilities, gradient coordinates and weights are followed along the chains."""
RHAT = 1.01
ESS = 100
"""What a converged posterior has at most and at least."""


def posterior_card(predictive: Predictive, data: Data) -> dict[str, Any]:
    """The card of a fitted predictive, judged on the data's test inputs, as JSON.

    `level` is `converged`, `short` or `degenerate` for chains, `independent` for draws that are so by construction,
    `single` for one draw; `why` says what decided it. Any method can call its own fit `short` by giving the reason in
    its diagnostics, as `unfinished`; but no word of a method's makes good what is degenerate. R-hat is the largest and
    ESS the smallest over the followed log probabilities and gradient coordinates; null where too few draws allow none.
    """
    return dict(plain(_card(predictive, data)))


def _card(predictive: Predictive, data: Data) -> dict[str, Any]:
    divergences = np.asarray(predictive.diagnostics.get("divergences", False))
    card: dict[str, Any] = {
        "draws": len(predictive),
        "chains": predictive.chains,
        "distinct": distinct_draws(predictive),
        "divergences": int(divergences.sum()),
    }
    fault = _fault(predictive, card["distinct"], divergences)
    if fault:
        return card | _told_by_the_sampler(predictive.diagnostics) | {"level": "degenerate", "why": fault}
    if len(predictive) == 1:
        return card | {"level": "single", "why": "one draw"}
    if "unfinished" in predictive.diagnostics:
        return card | {"level": "short", "why": str(predictive.diagnostics["unfinished"])}
    if predictive.fitted_by is not None and predictive.fitted_by.independent_draws:
        return card | {"level": "independent", "why": "draws are independent by construction"}
    card |= _told_by_the_sampler(predictive.diagnostics) | _mixing(predictive, data)
    rhat, ess = card["rhat"], card["ess"]
    if rhat is not None and rhat <= RHAT and ess >= ESS:
        return card | {"level": "converged", "why": f"R-hat {rhat:.3f}, ESS {ess:.0f}"}
    known = "too few draws for R-hat" if rhat is None else f"R-hat {rhat:.2f}, ESS {ess:.0f}"
    return card | {"level": "short", "why": known}


def _fault(predictive: Predictive, distinct: int, divergences: np.ndarray) -> str:
    """What makes draws degenerate, whatever made them; empty if nothing does."""
    size = len(predictive)
    if _all_diverged(predictive, divergences):
        return "every transition diverged"
    # One draw is all that was asked for. Two chains that are the same leave one half of their draws.
    if size > 1 and distinct <= size / 2:
        return f"only {distinct} of {size} draws are distinct"
    if size > 1 and not _moves(predictive):
        return "the draws hardly differ: they have not moved"
    return ""


def _all_diverged(predictive: Predictive, divergences: np.ndarray) -> bool:
    """Whether every transition diverged, by flags (chains, transitions), or by counts of chains, or of all of them."""
    if divergences.size == 0:
        return False
    if divergences.ndim > 1 or divergences.dtype == bool:
        return bool(divergences.all())
    transitions = predictive.per_chain * getattr(predictive.fitted_by, "thin", 1)
    return bool((divergences >= (transitions if divergences.ndim else transitions * predictive.chains)).all())


def _told_by_the_sampler(diagnostics: Mapping[str, Any]) -> dict[str, Any]:
    told = {}
    if "acceptance" in diagnostics:
        told["acceptance"] = float(np.mean(diagnostics["acceptance"]))
    for name in ("gradients", "depth_cap_hits", "seconds"):
        if name in diagnostics:
            told[name] = np.asarray(diagnostics[name]).sum()
    return told


def _moves(predictive: Predictive) -> bool:
    """Whether any weight varies among the draws by more than float32's rounding of it."""
    for tensor in predictive.draws.values():
        low, high = tensor.amin(0), tensor.amax(0)
        if (high - low > 1e-6 * low.abs().maximum(high.abs())).any():
            return True
    return False


def distinct_draws(predictive: Predictive) -> int:
    """How many different draws there are: a chain that never moved has one."""
    flat = [tensor.reshape(len(predictive), -1).cpu().numpy() for tensor in predictive.draws.values()]
    return len({b"".join(part[draw].tobytes() for part in flat) for draw in range(len(predictive))})


def mixing(quantities: np.ndarray) -> tuple[float | None, float | None]:
    """The largest rank-normalised split R-hat and the smallest bulk or tail ESS of quantities (chains, draws, Q).

    Quantities that never change are left out: a pixel that no draw looks at has no chain to judge. A single chain is
    cut into halves. (None, None) if there are fewer than eight draws a chain or nothing changes.
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
        # A chain that stands still gives R-hat infinity, which is the right answer and no reason to warn.
        warnings.simplefilter("ignore", RuntimeWarning)
        rhat = float(np.nanmax(array_stats.rhat(arrays, **axes)))
        bulk = array_stats.ess(arrays, method="bulk", **axes)
        tail = array_stats.ess(arrays, method="tail", prob=(0.05, 0.95), **axes)
    ess = float(np.nanmin(np.concatenate([bulk, tail])))
    return (rhat if math.isfinite(rhat) else 1e6), ess


def _mixing(predictive: Predictive, data: Data) -> dict[str, Any]:
    logs, gradients, weights = _followed(predictive, data)
    rhat, ess = mixing(np.concatenate([logs, gradients], -1))
    weight_rhat, weight_ess = mixing(weights)
    first, last = weights[:, 0], weights[:, -1]
    return {
        "rhat": rhat,
        "ess": ess,
        "weight_rhat": weight_rhat,
        "weight_ess": weight_ess,
        "moved": float(np.sqrt(((last - first) ** 2).mean())),
    }


def _followed(predictive: Predictive, data: Data) -> list[np.ndarray]:
    """Test log-probabilities, input-gradient coordinates and weights, each (chains, draws, Q)."""
    import torch

    from bnnbench.core import streaming

    sample = sample_of(data, IMAGES)
    y = sample.y.to(predictive.device)
    logs, gradients = [], []
    for draw in range(len(predictive)):
        x = sample.x.to(predictive.device, predictive.dtype).requires_grad_()
        logits = predictive.logits(x, [draw])[0]
        (slope,) = torch.autograd.grad(streaming.log_odds_against(logits, y).sum(), x)
        logs.append(logits.detach().log_softmax(-1)[range(len(y)), y])
        gradients.append(slope.flatten())
    weights = torch.cat(
        [tensor.reshape(len(tensor), -1).to(predictive.dtype) for tensor in predictive.draws.values()], 1
    )
    lead = (predictive.chains, predictive.per_chain)
    return [
        _some(array.cpu().numpy()).reshape(*lead, -1) for array in (torch.stack(logs), torch.stack(gradients), weights)
    ]


def _some(columns: np.ndarray) -> np.ndarray:
    """At most `COORDINATES` columns of (S, Q) that change, chosen once and for all."""
    changing = np.flatnonzero(columns.std(0) > 0)
    if len(changing) == 0:
        return columns[:, :1]
    chosen = np.random.default_rng(seeds.derive(0, seeds.CARD)).permutation(changing)[:COORDINATES]
    return columns[:, np.sort(chosen)]
