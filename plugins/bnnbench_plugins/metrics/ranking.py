"""How well uncertainty ranks inputs: attacked ones above clean ones, and errors above right answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from bnnbench import Metric
from bnnbench.authoring import metrics

Score = Literal["entropy", "mutual-information", "max-probability"]


class DetectionAuroc(Metric):
    """The probability that an attacked input is less certain than a clean one, in [0, 1]; ties count half.

    This is the area under the ROC curve of telling attacked inputs, successful or not, from clean ones. 0.5 is
    guessing. Below it, attacked inputs look more certain than clean ones.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "clean_log_probs",
        "attacked_log_probs",
        "clean_entropy",
        "attacked_entropy",
    )

    score: Score = "entropy"
    """The uncertainty that tells them apart: `max-probability` is one less the largest probability."""

    def number(self, arrays: Mapping[str, Any]) -> float:
        clean, attacked = (
            metrics.uncertainty(self.score, arrays[f"{side}_log_probs"], arrays[f"{side}_entropy"])
            for side in ("clean", "attacked")
        )
        return metrics.auroc(clean, attacked)


class SelectiveAccuracy(Metric):
    """The accuracy over the share of the images that are most certain, in [0, 1]."""

    arrays: ClassVar[tuple[str, ...]] = ("log_probs", "draw_entropy", "label")

    share: float = Field(default=0.9, gt=0, le=1)
    """The share of the images that is kept."""
    score: Score = "entropy"
    """The uncertainty by which images are kept."""

    def number(self, arrays: Mapping[str, Any]) -> float:
        uncertainty = metrics.uncertainty(self.score, arrays["log_probs"], arrays["draw_entropy"])
        return metrics.selective_accuracy(arrays["log_probs"], arrays["label"], uncertainty, self.share)


class AreaUnderRisk(Metric):
    """The area under the risk-coverage curve (AURC; Geifman et al. 2019), in [0, 1]: the smaller, the better.

    It is the mean over k of the share of errors among the k most certain images.
    """

    arrays: ClassVar[tuple[str, ...]] = ("log_probs", "draw_entropy", "label")

    score: Score = "entropy"
    """The uncertainty that ranks the images."""

    def number(self, arrays: Mapping[str, Any]) -> float:
        uncertainty = metrics.uncertainty(self.score, arrays["log_probs"], arrays["draw_entropy"])
        return metrics.area_under_risk(arrays["log_probs"], arrays["label"], uncertainty)
