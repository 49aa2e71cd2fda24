"""Accuracy, likelihood, calibration and uncertainty of the predictions at clean test images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bnnbench import Measure, Quantity
from bnnbench.authoring import metrics, wilson

if TYPE_CHECKING:
    from bnnbench import Defence


class Predictions(Measure):
    """Accuracy, likelihood, calibration and uncertainty of the predictions at clean test images.

    The predictions are those of the defending draws, at the test images that attacks use. Figures: `clean_accuracy`
    with its 95% Wilson interval (`clean_low`, `clean_high`); `nll`, the mean negative log-likelihood in nats; `brier`,
    the mean squared distance between probabilities and one-hot labels, in [0, 2]; `calibration_error`, the expected
    calibration error in [0, 1]; `entropy`, the predictive's mean entropy in nats; `mutual_information`, that entropy
    minus the mean entropy of the draws, in nats.
    """

    revision: ClassVar[int | None] = 1
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("index", ("image",), "int", "", "position in the test set"),
        Quantity("log_probs", ("image", "class"), "float", "nats", "log predictive probability", log_probability=True),
        Quantity("label", ("image",), "int", "class", "label", label=True),
        Quantity("draw_entropy", ("image",), "float", "nats", "mean over draws of each draw's entropy"),
        Quantity("draws", (), "int", "draws", "defending draws"),
    )
    figure_names: ClassVar[tuple[str, ...]] = (
        "images",
        "draws",
        "clean_accuracy",
        "clean_low",
        "clean_high",
        "nll",
        "brier",
        "calibration_error",
        "entropy",
        "mutual_information",
    )

    bins: int = Field(default=15, ge=1)
    """Bins of equal width into which confidences are sorted for the expected calibration error (Guo et al. 2017)."""

    def measure(self, defence: Defence) -> dict[str, Any]:
        clean = defence.clean
        return {
            "index": defence.sample.index,
            "log_probs": clean.log_probs,
            "label": defence.sample.y.numpy(),
            "draw_entropy": clean.entropy,
            "draws": defence.draws,
        }

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        log_probs, label = values["log_probs"], values["label"]
        correct = metrics.correct(log_probs, label)
        low, high = wilson(int(correct.sum()), len(label))
        return {
            "images": len(label),
            "draws": values["draws"],
            "clean_accuracy": float(correct.mean()),
            "clean_low": low,
            "clean_high": high,
            "nll": float(metrics.negative_log_likelihood(log_probs, label).mean()),
            "brier": float(metrics.brier(log_probs, label).mean()),
            "calibration_error": metrics.calibration_error(log_probs, label, self.bins),
            "entropy": float(metrics.entropy(log_probs).mean()),
            "mutual_information": float(metrics.mutual_information(log_probs, values["draw_entropy"]).mean()),
        }
