"""The posterior card: whether the draws of a fit can be samples of a posterior.

Chains are judged in function space, by the functionals of `functionals` and the rule of `verdict`. Figures of the
weights are reported too but do not count, because chains may differ by symmetries of the weights that leave the
function unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnbench.core import arguments
from bnnbench.core.dataset import Data
from bnnbench.core.draws_file import as_json
from bnnbench.core.foreign import predictive as made_predictive
from bnnbench.core.independence import independence
from bnnbench.core.predictive import Predictive
from bnnbench.core.standard_settings import standard_settings
from bnnbench.evidence.functionals import IMAGES as IMAGES
from bnnbench.evidence.functionals import functionals_of
from bnnbench.evidence.traces import traces_of
from bnnbench.evidence.verdict import verdict
from bnnbench.evidence.weights import distinct_draws, mixing_of_weights, moves

ADVICE = "try a smaller step_size or a longer warmup"
"""What is advised if every transition diverged and the sampler has no advice of its own."""
TEXTS = ("held_fixed", "start", "advice", "biased", "continued")
"""The diagnostics of samplers that the card passes on as texts."""


@dataclass(frozen=True, eq=False)
class Judged:
    """The card of a predictive, and the traces of some functionals, by name (chains, draws)."""

    card: dict[str, Any]
    traces: dict[str, NDArray[np.float32]] = field(default_factory=dict)


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
    - `start`, `advice`, `biased`, `continued`: how chains were started, what to change, why the draws have another
      distribution than the posterior, and whether a chain went on in another environment, if the sampler tells
    - `rhat`, `ess`: for chains, the largest R-hat and the smallest ESS of all functionals; null if there are too few
      draws
    - `functionals`, `worst`: the number of functionals that vary, and the name of the one with the largest R-hat
    - `between_share`: the largest share of the variance of a functional that lies between the means of chains
    - `nested_rhat`: the largest nested R-hat, if the diagnostic `superchains` says in how many groups of consecutive
      chains these share their start; null otherwise
    - `weight_rhat`, `weight_ess`, `moved`: R-hat and ESS of weights, and the root mean square distance between the
      first and last draw of a chain, over weights
    - `acceptance`, `gradients`, `depth_cap_hits`, `seconds`: the sampler's diagnostics, if it gives them

    If the predictive gives no gradient, chains are judged without gradients. Raises `TypeError` for other arguments,
    and `ValueError` if the data have more classes than the predictive.
    """
    predictive = made_predictive(predictive)
    arguments.instance_of(data, Data, argument="data", meant="a bnnbench.Data")
    return judged(predictive, data).card


@standard_settings()
def judged(predictive: Predictive, data: Data) -> Judged:
    """The card of a predictive as a JSON object, with the traces of some functionals if its chains were judged."""
    found = _judged(predictive, data)
    return Judged(dict(as_json(found.card)), found.traces)


def _judged(predictive: Predictive, data: Data) -> Judged:
    """The card with values as numpy gives them; the first condition that applies decides the level."""
    diagnostics = predictive.diagnostics
    divergences = np.asarray(diagnostics.get("divergences", False))
    card: dict[str, Any] = {
        "draws": len(predictive),
        "chains": predictive.chains,
        "distinct": distinct_draws(predictive),
        "divergences": int(divergences.sum()),
    }
    card |= {name: str(diagnostics[name]) for name in TEXTS if name in diagnostics}
    fault = _fault(predictive, card["distinct"], divergences)
    if fault:
        return Judged(card | _sampler_figures(diagnostics) | {"level": "degenerate", "why": fault})
    if len(predictive) == 1:
        return Judged(card | {"level": "single", "why": "one draw"})
    if "unfinished" in diagnostics:
        return Judged(card | {"level": "short", "why": str(diagnostics["unfinished"])})
    if reason := independence(predictive):
        return Judged(card | {"level": "independent", "why": reason})
    functionals = functionals_of(predictive, data)
    found = verdict(functionals.names, functionals.values, _superchains(predictive))
    card |= _sampler_figures(diagnostics) | found.figures | mixing_of_weights(predictive)
    return Judged(card | {"level": found.level, "why": found.why}, traces_of(functionals, found.ranked))


def _superchains(predictive: Predictive) -> int | None:
    """The number of groups of consecutive chains that share their start; None if it is not told, or impossible."""
    told = predictive.diagnostics.get("superchains")
    number = np.asarray(0 if told is None else told)
    if number.ndim or number.dtype.kind not in "iu" or number < 1 or predictive.chains % int(number):
        return None
    return int(number)


def _fault(predictive: Predictive, distinct: int, divergences: NDArray[Any]) -> str:
    """The reason why draws are degenerate; empty if they are not."""
    size = len(predictive)
    if _all_diverged(predictive, divergences):
        return f"every transition diverged: {predictive.diagnostics.get('advice') or ADVICE}"
    # If two chains are equal, half of the draws are distinct. A single draw is never degenerate.
    if size > 1 and distinct <= size / 2:
        return f"only {distinct} of {size} draws are distinct"
    if size > 1 and not moves(predictive):
        return "the draws hardly differ: they have not moved"
    return ""


def _all_diverged(predictive: Predictive, divergences: NDArray[Any]) -> bool:
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
