"""Scores of probabilities: likelihood, Brier score and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from bnnbench import Metric
from bnnbench.authoring import metrics


class NegativeLogLikelihood(Metric):
    """The mean of -log p(label) over images, in nats."""

    arrays: ClassVar[tuple[str, ...]] = ("log_probs", "label")

    def number(self, arrays: Mapping[str, Any]) -> float:
        return float(metrics.negative_log_likelihood(arrays["log_probs"], arrays["label"]).mean())


class Brier(Metric):
    """The mean squared distance of the probabilities and the one-hot label, in [0, 2]."""

    arrays: ClassVar[tuple[str, ...]] = ("log_probs", "label")

    def number(self, arrays: Mapping[str, Any]) -> float:
        return float(metrics.brier(arrays["log_probs"], arrays["label"]).mean())


class CalibrationError(Metric):
    """The expected calibration error (Guo et al. 2017), in [0, 1]."""

    arrays: ClassVar[tuple[str, ...]] = ("log_probs", "label")

    bins: int = Field(default=15, ge=1)
    """Bins of equal width into which confidences are sorted."""

    def number(self, arrays: Mapping[str, Any]) -> float:
        return metrics.calibration_error(arrays["log_probs"], arrays["label"], self.bins)
