"""The posterior card: whether the draws of a fit can be samples of a posterior.

Chains are judged in function space, by rank-normalised R-hat and effective sample size (ESS; Vehtari et al. 2021) of
the draws' test log-probabilities and input gradients. Figures of the weights are reported too but do not count, because
chains may differ by symmetries of the weights that leave the function unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bnnbench.core import arguments, seeds
from bnnbench.core.dataset import Data
from bnnbench.core.draws_file import as_json
from bnnbench.core.foreign import predictive as made_predictive
from bnnbench.core.independence import independence
from bnnbench.core.predictive import Predictive
from bnnbench.core.standard_settings import standard_settings
from bnnbench.measurements.sample import sample_of
from bnnbench.statistics.mixing import mixing

IMAGES = 50
"""The number of test images whose log-probabilities and gradients are computed."""
COORDINATES = 50
"""The largest number of log-probabilities, of gradient coordinates and of weights that chains are judged by."""
RHAT = 1.01
"""The largest R-hat of a converged posterior."""
ESS = 100
"""The smallest effective sample size of a converged posterior."""


@arguments.told_names
@standard_settings()
def posterior_card(predictive: Any, data: Data) -> dict[str, Any]:
    """The card of a predictive as a JSON object; test inputs of `data` are used.

    `predictive` is a predictive, or a model of which `bnnbench.predictive` makes one.

    - `level`: `degenerate` if the draws hardly differ or every transition diverged, `single` for one draw,
      `independent` for draws that are independent by construction or were trained separately, and otherwise
      `converged` or `short`. A method may declare its fit `short` by a reason in its diagnostics, `unfinished`.
    - `why`: the reason for the level
    - `draws`, `chains`, `distinct`, `divergences`: numbers of draws, chains, different draws and divergent transitions
    - `held_fixed`: what acts otherwise in the draws than in a training, such as the statistics of batch norm that a
      sampler holds fixed, or those of each draw; absent if there is nothing
    - `rhat`, `ess`: for chains, the largest R-hat and the smallest ESS of log-probabilities and gradient coordinates;
      null if there are too few draws
    - `weight_rhat`, `weight_ess`, `moved`: the same of weights, and the root mean square distance between the first and
      last draw of a chain, over weights
    - `acceptance`, `gradients`, `depth_cap_hits`, `seconds`: the sampler's diagnostics, if it gives them

    If the predictive gives no gradient, log-probabilities alone are judged. Raises `TypeError` for other arguments,
    and `ValueError` if the data have more classes than the predictive.
    """
    predictive = made_predictive(predictive)
    arguments.instance_of(data, Data, argument="data", meant="a bnnbench.Data")
    return dict(as_json(_card(predictive, data)))


def _card(predictive: Predictive, data: Data) -> dict[str, Any]:
    """The card with values as numpy gives them; the first condition that applies decides the level."""
    divergences = np.asarray(predictive.diagnostics.get("divergences", False))
    card: dict[str, Any] = {
        "draws": len(predictive),
        "chains": predictive.chains,
        "distinct": distinct_draws(predictive),
        "divergences": int(divergences.sum()),
    }
    if "held_fixed" in predictive.diagnostics:
        card["held_fixed"] = str(predictive.diagnostics["held_fixed"])
    fault = _fault(predictive, card["distinct"], divergences)
    if fault:
        return card | _sampler_figures(predictive.diagnostics) | {"level": "degenerate", "why": fault}
    if len(predictive) == 1:
        return card | {"level": "single", "why": "one draw"}
    if "unfinished" in predictive.diagnostics:
        return card | {"level": "short", "why": str(predictive.diagnostics["unfinished"])}
    if reason := independence(predictive):
        return card | {"level": "independent", "why": reason}
    card |= _sampler_figures(predictive.diagnostics) | _mixing(predictive, data)
    rhat, ess = card["rhat"], card["ess"]
    if rhat is None:
        return card | {"level": "short", "why": "too few draws for R-hat"}
    # R-hat is rounded up and ESS down: what is shown fulfils the rule only if the figures do.
    why = f"R-hat {np.ceil(1000 * rhat) / 1000:.3f}, ESS {np.floor(ess):.0f}"
    return card | {"level": "converged" if rhat <= RHAT and ess >= ESS else "short", "why": why}


def _fault(predictive: Predictive, distinct: int, divergences: np.ndarray) -> str:
    """The reason why draws are degenerate; empty if they are not."""
    size = len(predictive)
    if _all_diverged(predictive, divergences):
        return "every transition diverged: try a smaller step_size or a longer warmup"
    # If two chains are equal, half of the draws are distinct. A single draw is never degenerate.
    if size > 1 and distinct <= size / 2:
        return f"only {distinct} of {size} draws are distinct"
    if size > 1 and not _moves(predictive):
        return "the draws hardly differ: they have not moved"
    return ""


def _all_diverged(predictive: Predictive, divergences: np.ndarray) -> bool:
    """Whether every transition diverged.

    `divergences` holds flags (chains, transitions), counts of the chains (chains,), or one count of all chains ().
    """
    if divergences.size == 0:
        return False
    if divergences.ndim > 1 or divergences.dtype == bool:
        return bool(divergences.all())
    transitions = predictive.per_chain * getattr(predictive.fitted_by, "thin", 1)
    return bool((divergences >= (transitions if divergences.ndim else transitions * predictive.chains)).all())


def _sampler_figures(diagnostics: Mapping[str, Any]) -> dict[str, Any]:
    """The mean acceptance, and the sums of gradients, depth cap hits and seconds, if the sampler gives them."""
    figures = {}
    if "acceptance" in diagnostics:
        figures["acceptance"] = float(np.mean(diagnostics["acceptance"]))
    for name in ("gradients", "depth_cap_hits", "seconds"):
        if name in diagnostics:
            figures[name] = np.asarray(diagnostics[name]).sum()
    return figures


def _moves(predictive: Predictive) -> bool:
    """Whether any weight varies among the draws by more than the rounding of float32."""
    for tensor in predictive.draws.values():
        low, high = tensor.amin(0), tensor.amax(0)
        if (high - low > 1e-6 * low.abs().maximum(high.abs())).any():
            return True
    return False


def distinct_draws(predictive: Predictive) -> int:
    """The number of different draws of a predictive; 1 for a chain that never moved."""
    flat = [tensor.reshape(len(predictive), -1).cpu().numpy() for tensor in predictive.draws.values()]
    return len({b"".join(part[draw].tobytes() for part in flat) for draw in range(len(predictive))})


def _mixing(predictive: Predictive, data: Data) -> dict[str, Any]:
    """The R-hat and ESS of a predictive's chains in function space and in weights, and how far the weights moved."""
    logs, gradients, weights = _chains(predictive, data)
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


def _chains(predictive: Predictive, data: Data) -> list[np.ndarray]:
    """Test log-probabilities, input-gradient coordinates and weights of each draw, each (chains, draws, Q)."""
    import torch

    from bnnbench.core.ensemble import maths

    sample = sample_of(data, IMAGES)
    y = sample.y.to(predictive.device)
    logs, gradients = [], []
    for draw in range(len(predictive)):
        x = sample.x.to(predictive.device, predictive.dtype).requires_grad_()
        logits = predictive.logits(x, [draw])[0]
        if y.max() >= logits.shape[-1]:
            raise ValueError(
                f"data have labels up to {int(y.max())}, but {predictive.described} has {logits.shape[-1]} classes"
            )
        logs.append(logits.detach().log_softmax(-1)[range(len(y)), y])
        if logits.requires_grad:  # Some predictives give no gradient: they are judged by log-probabilities alone.
            (slope,) = torch.autograd.grad(maths.log_odds_against(logits, y).sum(), x)
            gradients.append(slope.flatten())
    weights = torch.cat(
        [tensor.reshape(len(tensor), -1).to(predictive.dtype) for tensor in predictive.draws.values()], 1
    )
    lead = (predictive.chains, predictive.per_chain)
    return [
        _sampled_columns(array.cpu().numpy()).reshape(*lead, -1)
        for array in (torch.stack(logs), torch.stack(gradients or logs), weights)
    ]


def _sampled_columns(columns: np.ndarray) -> np.ndarray:
    """At most `COORDINATES` columns of (S, Q) that change; the choice depends on their number alone."""
    changing = np.flatnonzero(columns.std(0) > 0)
    if len(changing) == 0:
        return columns[:, :1]
    chosen = np.random.default_rng(seeds.words(0, seeds.CARD)[0]).permutation(changing)[:COORDINATES]
    return columns[:, np.sort(chosen)]
