"""The rule by which chains are said to have converged, and its reason in words.

A functional has not mixed if its R-hat is above `WORST`, or above `RHAT` by more than chance: stationary chains of its
autocorrelation would show such a difference in any functional with a probability of at most `ERROR`, by Bonferroni's
correction for all functionals, each with its location and its scale (Holm's first step: one that fails decides).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnbench.statistics import agreement
from bnnbench.statistics.agreement import Array
from bnnbench.statistics.mixing import FEWEST_DRAWS, INFINITE, mixing_of_each

RHAT = 1.01
"""The largest R-hat that is never too large."""
WORST = 1.05
"""The largest R-hat of a converged posterior, whatever chance explains."""
ESS = 100
"""The smallest effective sample size of a converged posterior."""
ERROR = 0.05
"""The largest probability that R-hat is said to be above `RHAT` although all chains are stationary and alike."""


@dataclass(frozen=True)
class Verdict:
    """Whether chains have converged.

    Attributes:
        level: `converged` or `short`.
        why: the reason, in one line.
        figures: the fields of the card about functionals, by name.
        ranked: the positions of the functionals that change, the one with the largest R-hat first.
    """

    level: str
    why: str
    figures: dict[str, Any]
    ranked: list[int]


def verdict(names: Sequence[str], values: NDArray[Any], superchains: int | None = None) -> Verdict:
    """Whether functionals (chains, draws, Q) with these names have mixed.

    `superchains` is the number of groups of consecutive chains that share their start, if they do. Nested R-hat then
    takes the place of R-hat in the rule, and chains may be short.
    """
    chains, draws, _ = values.shape
    starts = superchains or chains
    groups = starts if 1 < starts < chains else None
    places = np.flatnonzero(agreement.varying(values)).tolist()
    figures: dict[str, Any] = dict.fromkeys(("rhat", "ess", "nested_rhat", "between_share", "worst"))
    figures["functionals"] = len(places)
    unknown = np.flatnonzero(np.isnan(values).any((0, 1))).tolist()
    if draws < FEWEST_DRAWS and groups is None:
        return Verdict("short", "too few draws for R-hat", figures, places)
    if unknown:
        return Verdict("short", f"{names[unknown[0]]} is not a number", figures, places)
    if not places:
        return Verdict("short", "the draws differ, but none of their predictions does", figures, places)
    changing, own_names = values[..., places].astype(np.float64), [names[place] for place in places]
    found = _nested(changing, groups) if groups else _split(changing)
    figures |= {
        "rhat": float(found.rhat.max()) if draws >= FEWEST_DRAWS else None,
        "ess": float(np.nanmin(found.ess)),
        "nested_rhat": float(found.decisive.max()) if groups else None,
        "between_share": float(agreement.between_share(changing).max()),
        "worst": own_names[int(np.argmax(found.decisive))],
    }
    failing = (found.decisive > WORST) | ((found.decisive > RHAT) & (found.chance <= ERROR / len(places)))
    mixed = not failing.any() and figures["ess"] >= ESS
    why = _why(own_names, found, failing, "nested R-hat" if groups else "R-hat")
    if mixed and starts == 1:
        why = f"{'one chain' if chains == 1 else 'one start'} cannot show a mode that it missed: {why}"
    ranked = [places[place] for place in np.argsort(-found.decisive, kind="stable")]
    return Verdict("converged" if mixed and starts > 1 else "short", why, figures, ranked)


@dataclass(frozen=True, eq=False)
class _Found:
    """What the rule looks at, each (Q,).

    Attributes:
        rhat: rank-normalised split R-hat, bulk or folded.
        ess: effective sample size, bulk or tail.
        decisive: the R-hat that decides: `rhat`, or nested R-hat.
        chance: the probability that it is as large by chance.
    """

    rhat: Array
    ess: Array
    decisive: Array
    chance: Array


def _split(values: Array) -> _Found:
    """What the rule looks at if each chain has a start of its own."""
    mixed = mixing_of_each(values)
    each = map(agreement.chance_of_chains, agreement.bulk_and_folded(agreement.in_two(values)))
    return _Found(mixed.rhat, mixed.ess, mixed.rhat, 2 * np.minimum(*each))


def _nested(values: Array, groups: int) -> _Found:
    """What the rule looks at if groups of chains share their start."""
    each = agreement.bulk_and_folded(values)
    nested = np.minimum(np.maximum(*(agreement.nested_rhat(part, groups) for part in each)), INFINITE)
    chance = 2 * np.minimum(*(agreement.chance_of_groups(part, groups) for part in each))
    if values.shape[1] < FEWEST_DRAWS:
        ess = np.minimum(*(agreement.ess_of_groups(part, groups) for part in each))
        return _Found(nested, ess, nested, chance)
    mixed = mixing_of_each(values)
    return _Found(mixed.rhat, mixed.ess, nested, chance)


def _why(names: Sequence[str], found: _Found, failing: NDArray[np.bool_], what: str) -> str:
    """R-hat and ESS in words, with the name of the functional that fails the rule.

    R-hat is rounded up and ESS down: what is shown fulfils the rule only if the figures do.
    """
    largest = int(np.argmax(np.where(failing, found.decisive, 0) if failing.any() else found.decisive))
    rhat, smallest = found.decisive[largest], int(np.nanargmin(found.ess))
    words = [f"{what} {_up(rhat)}", f"ESS {np.floor(found.ess[smallest]):.0f}"]
    if failing.any():
        words[0] += f" of {names[largest]}"
    elif found.ess[smallest] < ESS:
        words[1] += f" of {names[smallest]}"
    elif rhat > RHAT:
        words[0] += " (within chance)"
    return ", ".join(words)


def _up(rhat: float) -> str:
    return "infinite" if rhat >= INFINITE else f"{np.ceil(1000 * rhat) / 1000:.3f}"
