"""The lines below a table of fidelity: the reference's own error, and whether closer fits are more robust."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bnnbench_plugins.measures.fidelity_figures import same_class, total_variation
from bnnbench_plugins.measures.trend import FEWEST, Trend, trend

Values = Mapping[str, Any]
Results = Mapping[str, Mapping[int, Values]]
"""The quantities of each posterior at each seed."""


def remarks(results: Results, under: str) -> list[str]:
    """The lines; `under` names the attack and its ball, and is empty without one."""
    by_seed: dict[int, Values] = {seed: values for of in results.values() for seed, values in of.items()}
    if not by_seed:
        return []
    lines = [_halves(list(by_seed.values()))]
    if under:
        robust = float(np.mean([values["reference_robust"].mean() for values in by_seed.values()]))
        lines += [f"robust accuracy: under {under}; that of the reference is {robust:.3f}"]
        lines += [_no_evidence(name) for name, of in results.items() if _is_refuted(of)] + _trend(results)
    return lines


def _halves(one_a_seed: list[Values]) -> str:
    """How close the halves of the reference are, in the mean over seeds."""
    if any(values["first_log_probs"] is None for values in one_a_seed):
        return "the reference has one draw: its own error is not known"
    halves = [(values["first_log_probs"], values["second_log_probs"]) for values in one_a_seed]
    agreement = np.mean([same_class(*pair).mean() for pair in halves])
    variation = np.mean([total_variation(*pair).mean() for pair in halves])
    floors = [values["distance_floor"] for values in one_a_seed if values["distance_floor"] is not None]
    distance = f", function distance {np.mean([floor.mean() for floor in floors]):.3g}" if floors else ""
    return (
        f"two halves of the reference: agreement {agreement:.3f}, total variation {variation:.3g}{distance}; "
        "what is closer to it than they are to each other cannot be told from it"
    )


def _trend(results: Results) -> list[str]:
    """The line that says whether closer fits are more robust: posteriors with all seeds that some posterior has.

    The reference itself has a distance of 0 by definition, and a robust accuracy that is no evidence has no place: both
    are left out.
    """
    seeds = sorted({seed for of in results.values() for seed in of})
    compared = [
        [of[seed] for seed in seeds]
        for of in results.values()
        if all(seed in of and not of[seed]["is_reference"] for seed in seeds) and not _is_refuted(of)
    ]
    if len(compared) < FEWEST or len({tuple(one["index"]) for of in compared for one in of}) > 1:
        return []
    near = [[-total_variation(one["log_probs"], one["reference_log_probs"]) for one in of] for of in compared]
    robust = [[one["robust"] for one in of] for of in compared]
    found = trend(np.asarray(near), np.asarray(robust))
    return [] if found is None else [_told(found, len(seeds))]


def _told(found: Trend, seeds: int) -> str:
    """A rank correlation in words."""
    others = "images" if seeds == 1 else f"images and {seeds} seeds"
    return (
        f"is what is closer to the reference (in total variation) more robust? Of {found.pairs} pairs of posteriors "
        f"{found.same} say yes and {found.opposite} no; the others are not told apart by these {others} (5%, Holm). "
        f"Kendall's tau is {found.tau:+.2f}, in [{found.low:.2f}, {found.high:.2f}]. With {found.posteriors} "
        f"posteriors tau is as far from 0 by chance with a probability of {found.p:.2g}"
    )


def _is_refuted(of: Mapping[int, Values]) -> bool:
    """Whether a direction that the attack on a fit followed was zero at some images."""
    return any(values["zero_direction"] is not None and values["zero_direction"].any() for values in of.values())


def _no_evidence(posterior: str) -> str:
    return f"{posterior}: the attack's direction was zero at some images: its robust accuracy is no evidence"
