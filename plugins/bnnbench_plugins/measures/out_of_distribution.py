"""How well uncertainty tells another data set from the one that was learnt, attacked or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bnnbench import AttackParameter, DatasetParameter, Incompatible, Measure, Quantity, Threat
from bnnbench.authoring import auroc_interval, metrics

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench import Defence

SCORES = ("entropy", "mutual-information", "max-probability")
"""The scores by which inputs are told apart, as `bnnbench.authoring.metrics.uncertainty` has them."""
ATTACKED = ("entropy", "mutual-information")
"""The scores that an attack can raise and lower."""
_OTHER: Any = "bnnbench:fashion-mnist"


def _name(score: str) -> str:
    """The name of a score in figures and quantities."""
    return score.replace("-", "_")


class OutOfDistribution(Measure):
    """How well uncertainty tells the test images of another data set from those of this one: AUROC, with intervals.

    Figures: `auroc_SCORE` for the scores `entropy` (of the predictive), `mutual_information` and `max_probability`,
    each with its 95% interval (`low_SCORE`, `high_SCORE`; Newcombe 2006). The AUROC is the probability that an image of
    the other data set is less certain than one of this; ties count half, and 0.5 is chance.

    With `attack`, `attacked_auroc_SCORE` is the AUROC after that attack has lowered just that score of the images of
    the other data set, in a ball of radius `epsilon` (goal `lower-uncertainty`, the predicted class kept); with
    `side: both` it also raises the score of this data set's images. A detector that was never attacked is no detector
    (Feng et al. 2024). Raises `Incompatible` if the images of both data sets differ in shape or box, or the
    attack stops early.
    """

    revision: ClassVar[int | None] = 1
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("index", ("image",), "int", "", "position in the test set"),
        *(
            Quantity(f"{side}_{_name(score)}", (axis,), "float", "", f"{score} as an uncertainty, {words}")
            for side, axis, words in (("this", "image", "this data set"), ("other", "other", "the other data set"))
            for score in SCORES
        ),
        *(
            Quantity(
                f"attacked_{side}_{_name(score)}",
                (axis,),
                "float",
                "nats",
                f"{score} after the attack on it",
                optional=True,
            )
            for side, axis in (("this", "image"), ("other", "other"))
            for score in ATTACKED
        ),
    )
    figure_names: ClassVar[tuple[str, ...]] = (
        *(f"{name}_{_name(score)}" for score in SCORES for name in ("auroc", "low", "high")),
        *(f"attacked_auroc_{_name(score)}" for score in ATTACKED),
    )

    dataset: DatasetParameter = Field(default=_OTHER)
    """The other data set; its first `images` test images are taken."""
    images: int = Field(default=500, ge=1)
    """The largest number of images of the other data set."""
    attack: AttackParameter | None = None
    """The attack on the scores; none by default."""
    epsilon: float = Field(default=0.1, ge=0)
    """The radius of the l-infinity ball of the attack, in the data's units."""
    side: Literal["other", "both"] = "other"
    """Whose images are attacked: those of the other data set, or of both."""

    def measure(self, defence: Defence) -> dict[str, Any]:
        other = defence.images_of(self.dataset, self.images).x
        here, there = defence.clean, defence.judge(other)
        values: dict[str, Any] = {"index": defence.sample.index}
        for score in SCORES:
            values[f"this_{_name(score)}"] = metrics.uncertainty(score, here.log_probs, here.entropy)
            values[f"other_{_name(score)}"] = metrics.uncertainty(score, there.log_probs, there.entropy)
        for score in ATTACKED:
            lowered = self._attacked(defence, other, there.log_probs, score, goal="lower-uncertainty")
            own = self.side == "both"
            raised = self._attacked(defence, defence.sample.x, here.log_probs, score) if own else None
            values |= {f"attacked_other_{_name(score)}": lowered, f"attacked_this_{_name(score)}": raised}
        return values

    def _attacked(
        self, defence: Defence, x: Tensor, log_probs: Any, score: Any, goal: Any = "raise-uncertainty"
    ) -> Any | None:
        """The scores (N,) of images after the attack on them, which keeps the predicted classes; None without one."""
        import torch

        if self.attack is None:
            return None
        if self.attack.stops_early:
            raise Incompatible("an attack that stops early does not look for the extreme score: give one that does not")
        threat = Threat(self.epsilon, bounds=defence.bounds, goal=goal, score=score, keep_label=True)
        made = defence.crafted(self.attack, x, torch.from_numpy(log_probs.argmax(-1)), threat)
        judged = defence.judge(made)
        return metrics.uncertainty(score, judged.log_probs, judged.entropy)

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        told: dict[str, float | int | None] = {}
        for score in map(_name, SCORES):
            this, other = values[f"this_{score}"], values[f"other_{score}"]
            found = metrics.auroc(this, other)
            low, high = auroc_interval(found, len(this), len(other))
            told |= {f"auroc_{score}": found, f"low_{score}": low, f"high_{score}": high}
        for score in map(_name, ATTACKED):
            lowered, raised = values[f"attacked_other_{score}"], values[f"attacked_this_{score}"]
            this = values[f"this_{score}"] if raised is None else raised
            told[f"attacked_auroc_{score}"] = None if lowered is None else metrics.auroc(this, lowered)
        return told
