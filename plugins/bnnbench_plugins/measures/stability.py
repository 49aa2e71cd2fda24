"""How much the loss varies in a small neighbourhood of each image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from bnnbench import Measure, ObjectiveParameter, Quantity
from bnnbench.authoring import measure_generator

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench import Defence, Objective

FLOOR = 1e-3
"""The smallest loss, in nats, that changes are related to: smaller ones differ by rounding."""
_NLL: Any = "bnnbench:predictive-nll"


class Stability(Measure):
    """The relative variability of the loss in a small neighbourhood of each clean image (Pintor et al. 2022, I2).

    It is the mean over random points near an image of |loss there - loss| / |loss|, at most 1. A gradient says nothing
    about a function that varies much in a neighbourhood as small as this. Losses below 0.001 nats count as 0.001. The
    points are uniform in an l-infinity ball and clipped to the box. Figures: `variability`, the mean over images;
    `unstable_share`, the share of images with more than 10%.
    """

    revision: ClassVar[int | None] = 1
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("index", ("image",), "int", "", "position in the test set"),
        Quantity("loss", ("image",), "float", "nats", "the loss at the clean image"),
        Quantity("variability", ("image",), "float", "", "mean relative change of the loss, at most 1"),
        Quantity("draws", (), "int", "draws", "defending draws"),
    )
    figure_names: ClassVar[tuple[str, ...]] = ("images", "draws", "variability", "unstable_share")

    objective: ObjectiveParameter = Field(default=_NLL)
    """The loss."""
    radius: float = Field(default=1e-3, gt=0, le=1)
    """The radius of the neighbourhood, in widths of the box."""
    samples: int = Field(default=100, ge=1)
    """Number of random points near each image."""

    def measure(self, defence: Defence) -> dict[str, Any]:
        import torch

        x, box, rng = defence.sample.x, defence.threat.box, measure_generator(defence.seed)
        loss = self._loss(defence, x)
        scale, total = loss.abs().clamp(min=FLOOR), torch.zeros_like(loss)
        for _ in range(self.samples):
            step = 2 * torch.rand(x.shape, generator=rng, dtype=torch.float32) - 1
            near = (x + self.radius * (box[1] - box[0]) * step.to(x)).clamp(*box)
            total += (self._loss(defence, near) - loss).abs() / scale
        return {
            "index": defence.sample.index,
            "loss": loss.numpy(),
            "variability": (total / self.samples).clamp(max=1).numpy(),
            "draws": len(defence.defenders),
        }

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        variability = values["variability"]
        return {
            "images": len(variability),
            "draws": values["draws"],
            "variability": float(variability.mean()),
            "unstable_share": float((variability > 0.1).mean()),
        }

    def _loss(self, defence: Defence, x: Tensor) -> Tensor:
        """The loss (N,) of the draws that defend, in float64."""
        objective: Objective = self.objective
        each = defence.predictive.draw_log_probs(x, defence.defenders).cpu().double()
        return objective.value(each, defence.sample.y)
