"""What the probabilities of an outcome are worth: likelihood, calibration and uncertainty, clean and attacked."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

from bnnbench.statistics import metrics

Array = NDArray[Any]


class Predictions(NamedTuple):
    """Predictions at one side, clean or attacked: log-probabilities (N, K) and the mean entropy (N,) of the draws."""

    log_probs: Array
    draw_entropy: Array

    def uncertainty(self, score: str) -> Array:
        """The uncertainty of each image by the name of its score (`bnnbench.statistics.metrics.SCORES`), (N,)."""
        return metrics.uncertainty(score, *self)


class Uncertainty:
    """The figures of an outcome that are computed from its probabilities.

    The arrays `clean_entropy` and `attacked_entropy` of an outcome hold the mean entropy of the *draws*; the figures
    `clean_predictive_entropy` and `attacked_predictive_entropy` are about the predictive.

    An attack that stops early (`stops_early`) leaves an image alone once it is broken. The figures of its attacked
    images then depend on when it stopped: they do not say what an attack can do to a probability, nor how well a
    detector works. Tables of metrics leave them out.
    """

    label: Array
    clean_log_probs: Array
    attacked_log_probs: Array
    clean_entropy: Array
    attacked_entropy: Array

    @property
    def _clean(self) -> Predictions:
        return Predictions(self.clean_log_probs, self.clean_entropy)

    @property
    def _attacked(self) -> Predictions:
        return Predictions(self.attacked_log_probs, self.attacked_entropy)

    @property
    def clean_nll(self) -> float:
        """The mean of -log p(y | x) over clean images, in nats."""
        return float(metrics.negative_log_likelihood(self.clean_log_probs, self.label).mean())

    @property
    def attacked_nll(self) -> float:
        """The mean of -log p(y | x) over attacked images, in nats."""
        return float(metrics.negative_log_likelihood(self.attacked_log_probs, self.label).mean())

    @property
    def clean_brier(self) -> float:
        """The mean Brier score of clean images, in [0, 2]."""
        return float(metrics.brier(self.clean_log_probs, self.label).mean())

    @property
    def attacked_brier(self) -> float:
        """The mean Brier score of attacked images, in [0, 2]."""
        return float(metrics.brier(self.attacked_log_probs, self.label).mean())

    @property
    def clean_ece(self) -> float:
        """The expected calibration error of clean images over 15 bins, in [0, 1]."""
        return metrics.calibration_error(self.clean_log_probs, self.label)

    @property
    def attacked_ece(self) -> float:
        """The expected calibration error of attacked images over 15 bins, in [0, 1]."""
        return metrics.calibration_error(self.attacked_log_probs, self.label)

    @property
    def clean_predictive_entropy(self) -> float:
        """The mean entropy of the predictive at clean images, in nats."""
        return float(metrics.entropy(self.clean_log_probs).mean())

    @property
    def attacked_predictive_entropy(self) -> float:
        """The mean entropy of the predictive at attacked images, in nats."""
        return float(metrics.entropy(self.attacked_log_probs).mean())

    @property
    def clean_mutual_information(self) -> float:
        """The mean entropy of the predictive at clean images less that of the draws, in nats."""
        return float(metrics.mutual_information(*self._clean).mean())

    @property
    def attacked_mutual_information(self) -> float:
        """The mean entropy of the predictive at attacked images less that of the draws, in nats."""
        return float(metrics.mutual_information(*self._attacked).mean())

    def detection_auroc(self, score: str = "entropy") -> float:
        """The probability that an attacked input is less certain than a clean one, in [0, 1]; ties count half.

        It is the area under the ROC curve of telling all attacked inputs, successful or not, from the clean ones by
        `score`: `entropy`, `mutual-information` or `max-probability`. Raises `ValueError` for another score.
        """
        return metrics.auroc(self._clean.uncertainty(score), self._attacked.uncertainty(score))

    def selective_accuracy(self, share: float = 0.9, *, score: str = "entropy", attacked: bool = True) -> float:
        """The accuracy over the share of the images that are most certain by `score`, in [0, 1].

        The images are attacked ones, or clean ones if not `attacked`. Raises `ValueError` for a share outside (0, 1],
        and as `detection_auroc` does.
        """
        side = self._attacked if attacked else self._clean
        return metrics.selective_accuracy(side.log_probs, self.label, side.uncertainty(score), share)
