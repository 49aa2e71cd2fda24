"""The mean uncertainty of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bnnbench import Metric
from bnnbench.authoring import metrics


class Entropy(Metric):
    """The mean entropy of the predictive, in nats."""

    arrays: ClassVar[tuple[str, ...]] = ("log_probs",)

    def number(self, arrays: Mapping[str, Any]) -> float:
        return float(metrics.entropy(arrays["log_probs"]).mean())


class MutualInformation(Metric):
    """The mean entropy of the predictive less the draws' mean entropy, in nats: what the draws disagree on."""

    arrays: ClassVar[tuple[str, ...]] = ("log_probs", "draw_entropy")

    def number(self, arrays: Mapping[str, Any]) -> float:
        return float(metrics.mutual_information(arrays["log_probs"], arrays["draw_entropy"]).mean())
