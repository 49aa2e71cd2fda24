"""The figures of the measure `fidelity`, from what it keeps of each image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bnnbench.authoring import metrics, paired_interval, wilson


def _with_interval(name: str, stem: str = "") -> tuple[str, str, str]:
    """The names of a figure and of the ends of its interval."""
    return name, f"{stem or name}_low", f"{stem or name}_high"


ACCURACY, NLL = _with_interval("clean_accuracy", "clean"), _with_interval("nll")
ACCURACY_DIFFERENCE, NLL_DIFFERENCE = _with_interval("accuracy_difference"), _with_interval("nll_difference")
AGREEMENT, TOTAL_VARIATION = _with_interval("agreement"), _with_interval("total_variation")
DISTANCE = _with_interval("function_distance")
ROBUST, ROBUST_DIFFERENCE = _with_interval("own_robust_accuracy", "own_robust"), _with_interval("robust_difference")
NAMES = (
    "images",
    "draws",
    "reference_draws",
    *ACCURACY,
    *ACCURACY_DIFFERENCE,
    *NLL,
    *NLL_DIFFERENCE,
    "calibration_error",
    *AGREEMENT,
    "agreement_floor",
    *TOTAL_VARIATION,
    "total_variation_floor",
    *DISTANCE,
    "function_distance_floor",
    *ROBUST,
    "reference_robust_accuracy",
    *ROBUST_DIFFERENCE,
    "zero_direction_share",
)
COLUMNS = {
    "fit seconds": ("fit_seconds",),
    "accuracy": ACCURACY,
    "NLL": NLL,
    "ECE": ("calibration_error",),
    "agreement": AGREEMENT,
    "total variation": TOTAL_VARIATION,
    "function distance": DISTANCE,
    "robust accuracy": ROBUST,
    "robust less reference": ROBUST_DIFFERENCE,
}
"""The columns of a table: each a figure, with the ends of its interval."""
Figures = dict[str, float | int | None]


def figures(values: Mapping[str, Any], bins: int) -> Figures:
    """The figures by name; `bins` are those of the calibration error."""
    own, reference, label = values["log_probs"], values["reference_log_probs"], values["label"]
    right, theirs = (metrics.correct(log_probs, label) for log_probs in (own, reference))
    nll, their_nll = (metrics.negative_log_likelihood(log_probs, label) for log_probs in (own, reference))
    first, second = values["first_log_probs"], values["second_log_probs"]
    floor, still = values["distance_floor"], values["zero_direction"]
    return {
        "images": len(label),
        "draws": values["draws"],
        "reference_draws": values["reference_draws"],
        **_share(ACCURACY, right),
        **_difference(ACCURACY_DIFFERENCE, right, theirs),
        **_mean(NLL, nll, least=0.0),
        **_mean(NLL_DIFFERENCE, nll - their_nll),
        "calibration_error": metrics.calibration_error(own, label, bins),
        **_share(AGREEMENT, same_class(own, reference)),
        "agreement_floor": None if first is None else float(same_class(first, second).mean()),
        **_mean(TOTAL_VARIATION, total_variation(own, reference), least=0.0, most=1.0),
        "total_variation_floor": None if first is None else float(total_variation(first, second).mean()),
        **_mean(DISTANCE, values["distance"]),
        "function_distance_floor": None if floor is None else float(floor.mean()),
        **_robust(values["robust"], values["reference_robust"]),
        "zero_direction_share": None if still is None else float(still.mean()),
    }


def same_class(one: Any, other: Any) -> Any:
    """Whether the most probable class of each image is the same in two predictions (N, K), (N,)."""
    return one.argmax(-1) == other.argmax(-1)


def total_variation(one: Any, other: Any) -> Any:
    """Half the sum over classes of |p - q| of each image, from log-probabilities (N, K), in [0, 1], (N,)."""
    p, q = (np.exp(np.asarray(log_probs, np.float64)) for log_probs in (one, other))
    return np.minimum(np.abs(p - q).sum(-1) / 2, 1.0)


def _robust(own: Any, reference: Any) -> Figures:
    """The figures of robust accuracy; all are None without an attack."""
    if own is None or reference is None:
        return dict.fromkeys((*ROBUST, "reference_robust_accuracy", *ROBUST_DIFFERENCE))
    difference = _difference(ROBUST_DIFFERENCE, own, reference)
    return _share(ROBUST, own) | {"reference_robust_accuracy": float(reference.mean())} | difference


def _share(names: tuple[str, str, str], holds: Any) -> Figures:
    """A share of the images with its Wilson interval."""
    return dict(zip(names, (float(holds.mean()), *wilson(int(holds.sum()), len(holds))), strict=True))


def _difference(names: tuple[str, str, str], own: Any, reference: Any) -> Figures:
    """The difference of two shares of the same images, with Tango's interval."""
    only = int((own & ~reference).sum()), int((reference & ~own).sum())
    ends = paired_interval(*only, len(own))
    return dict(zip(names, ((only[0] - only[1]) / len(own), *ends), strict=True))


def _mean(names: tuple[str, str, str], values: Any, least: float = -math.inf, most: float = math.inf) -> Figures:
    """The mean over images with the interval of Student's t inside of its bounds; no interval for one image."""
    from scipy import stats

    values = np.asarray(values, np.float64)
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return dict(zip(names, (mean, None, None), strict=True))
    half = float(stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / math.sqrt(count))
    return dict(zip(names, (mean, max(least, mean - half), min(most, mean + half)), strict=True))
