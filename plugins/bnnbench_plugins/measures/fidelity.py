"""How far a fit is from a reference fit: predictions, functions, and robustness under the same attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bnnbench import AttackParameter, Measure, PosteriorParameter, Quantity, Threat
from bnnbench_plugins.measures import fidelity_figures, fidelity_remarks

if TYPE_CHECKING:
    from bnnbench import Attack, Defence, Posterior, Predictive

_LOG_PROBS = ("image", "class")
_NUTS: Any = "bnnbench:numpyro-nuts"


def _floats(name: str, words: str, *, optional: bool = False) -> Quantity:
    return Quantity(name, _LOG_PROBS, "float", "nats", words, optional=optional, log_probability=True)


class Fidelity(Measure):
    """How far the predictions, functions and robustness of a fit are from those of a reference fit.

    The reference predicts with all its draws, the fit with those that defend, at the test images that attacks use
    (Wilson et al. 2022, the NeurIPS competition on approximate inference). Figures; differences are the fit's number
    less the reference's, on the same images, and `_low` and `_high` are the ends of 95% intervals for other images:

    - `clean_accuracy`, `nll` (in nats) and `calibration_error` of the fit; `accuracy_difference`, `nll_difference`
    - `agreement`: the share of the images to which both give the same class
    - `total_variation`: the mean over images of half the sum over classes of |p - q|, in [0, 1]
    - `function_distance`: the mean over images of the energy distance between the draws' vectors of log-probabilities,
      in nats: 2 E|X - Y| - E|X - X'| - E|Y - Y'|, without bias for independent draws. One draw is a point mass, and
      the distance of the reference from itself is 0
    - `agreement_floor`, `total_variation_floor`, `function_distance_floor`: the same between two halves of the
      reference, by chains if it has several. Each half has half of the draws, so the error of the whole is smaller.
      None if the reference has one draw
    - with `attack`: `own_robust_accuracy`, `reference_robust_accuracy` and `robust_difference` under that attack in a
      ball of radius `epsilon`, made on the draws that defend. Of the reference these are as many as `evaluate.draws`
      allows. `zero_direction_share` is the share of the images at which a direction that the attack on the fit followed
      was exactly zero: that robust accuracy is then no evidence

    The lines below a table say how close the halves of the reference are, and whether fits that are closer to the
    reference are more robust.
    """

    revision: ClassVar[int | None] = 1
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("index", ("image",), "int", "", "position in the test set"),
        Quantity("label", ("image",), "int", "class", "label", label=True),
        _floats("log_probs", "prediction of the fit"),
        _floats("reference_log_probs", "prediction of the reference"),
        _floats("first_log_probs", "prediction of the first half of the reference", optional=True),
        _floats("second_log_probs", "prediction of the second half of the reference", optional=True),
        Quantity("distance", ("image",), "float", "nats", "energy distance to the reference"),
        Quantity("distance_floor", ("image",), "float", "nats", "the same between its halves", optional=True),
        Quantity("robust", ("image",), "bool", "", "the attack on the fit failed", optional=True),
        Quantity("zero_direction", ("image",), "bool", "", "a direction of that attack was zero", optional=True),
        Quantity("reference_robust", ("image",), "bool", "", "the attack on the reference failed", optional=True),
        Quantity("draws", (), "int", "draws", "defending draws"),
        Quantity("reference_draws", (), "int", "draws", "draws of the reference"),
        Quantity("is_reference", (), "bool", "", "the fit is the reference itself"),
    )
    figure_names: ClassVar[tuple[str, ...]] = fidelity_figures.NAMES
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = fidelity_figures.COLUMNS

    reference: PosteriorParameter = Field(default=_NUTS)
    """The posterior of the reference: a label of the file's posteriors, or one with parameters of its own."""
    attack: AttackParameter | None = None
    """The attack on the fit and on the reference; none by default."""
    epsilon: float = Field(default=0.1, ge=0)
    """The radius of the ball of the attack, in the data's units."""
    norm: Literal["linf", "l2", "l1"] = "linf"
    """The norm of that ball."""
    draws: int = Field(default=200, ge=2)
    """The largest number of draws of each side that the function distance is computed from."""
    bins: int = Field(default=15, ge=1)
    """Bins of equal width of the confidence for the expected calibration error."""

    @property
    def needed_fits(self) -> tuple[Posterior, ...]:
        """The reference. The fits that an attack needs are the attacker's own."""
        return (self.reference,)

    def measure(self, defence: Defence) -> dict[str, Any]:
        reference = defence.beside(defence.fitted(self.reference))
        whole, halves = _predictions(reference.predictive, defence.sample.x)
        robust, still = self._attacked(defence)
        return {
            "index": defence.sample.index,
            "label": defence.sample.y.numpy(),
            "log_probs": defence.clean.log_probs,
            "reference_log_probs": whole,
            "first_log_probs": halves[0],
            "second_log_probs": halves[1],
            **self._distances(defence, reference.predictive),
            "robust": robust,
            "zero_direction": still,
            "reference_robust": self._attacked(reference)[0],
            "draws": len(defence.defenders),
            "reference_draws": len(reference.predictive),
            "is_reference": self._is_reference(defence),
        }

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        return fidelity_figures.figures(values, self.bins)

    def remarks(self, results: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> list[str]:
        ball = f" in the {self.norm} ball of radius {self.epsilon:g}"
        return fidelity_remarks.remarks(results, f"{_words(self.attack)}{ball}" if self.attack else "")

    def _distances(self, defence: Defence, reference: Predictive) -> dict[str, Any]:
        """The energy distances of draws: those of the fit to the reference, and of the reference's halves."""
        from bnnbench_plugins.measures.energy import energy_distance, thinned

        x, theirs = defence.sample.x, thinned(range(len(reference)), self.draws)
        each = reference.draw_log_probs(x, theirs).cpu()
        first = np.isin(theirs, _halves(reference)[0])
        floor = None if first.all() or not first.any() else energy_distance(each[first], each[~first])
        if self._is_reference(defence):  # Draws that both sides have would give a negative distance.
            return {"distance": np.zeros(len(x)), "distance_floor": floor}
        own = defence.predictive.draw_log_probs(x, thinned(defence.defenders, self.draws)).cpu()
        return {"distance": energy_distance(own, each), "distance_floor": floor}

    def _is_reference(self, defence: Defence) -> bool:
        """Whether the fit is the reference itself."""
        return bool(defence.predictive.fitted_by == self.reference)

    def _attacked(self, defence: Defence) -> tuple[Any, Any]:
        """Which images are classified correctly, clean and attacked, and where the attack's direction was zero.

        Both are (N,) bool. They are None without an attack; the second also if the attack follows no direction.
        """
        if self.attack is None:
            return None, None
        sample, threat = defence.sample, Threat(self.epsilon, norm=self.norm, bounds=defence.bounds)
        made = defence.attacked(self.attack, sample.x, sample.y, threat)
        predicted = (defence.clean.log_probs, defence.judge(made.inputs).log_probs)
        right = [log_probs.argmax(-1) == sample.y.numpy() for log_probs in predicted]
        return right[0] & right[1], None if made.zero_direction is None else made.zero_direction.numpy()


def _words(attack: Attack) -> str:
    """The class of an attack and its parameters that are not the defaults, such as `ProjectedGradient (steps 20)`."""
    defaults = type(attack)().model_dump(mode="json")
    own = {name: value for name, value in attack.model_dump(mode="json").items() if value != defaults[name]}
    texts = [
        f"{name} {value['use'].rpartition(':')[2] if isinstance(value, dict) else value}" for name, value in own.items()
    ]
    return type(attack).__name__ + (f" ({', '.join(texts)})" if texts else "")


def _halves(predictive: Predictive) -> tuple[Sequence[int], Sequence[int]]:
    """The positions of the draws of two halves: of the first and the other chains; of one chain its two halves."""
    several = predictive.chains > 1
    cut = predictive.chains // 2 * predictive.per_chain if several else len(predictive) // 2
    return range(cut), range(cut, len(predictive))


def _predictions(predictive: Predictive, x: Any) -> tuple[Any, tuple[Any, Any]]:
    """The log-probabilities (N, K) of all draws and of both halves; those of halves are None for one draw."""
    halves = _halves(predictive)
    if not halves[0]:
        return predictive.log_probs(x).cpu().numpy(), (None, None)
    first, second = (predictive.log_probs(x, half).cpu().numpy() for half in halves)
    shares = [np.float32(np.log(len(half) / len(predictive))) for half in halves]
    return np.logaddexp(first + shares[0], second + shares[1]), (first, second)
