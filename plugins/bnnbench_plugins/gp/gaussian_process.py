"""Gaussian process classification with a radial basis kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench_plugins.gp.process import GaussianProcess

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench_plugins.gp.dirichlet import Targets
    from bnnbench_plugins.gp.kernels import Kernel


class RadialBasisProcess(GaussianProcess):
    """Gaussian process classification with a radial basis kernel, whose draws are functions that attacks can follow.

    The network is ignored. Labels are targets of a regression (Milios et al. 2018); the functions are drawn by pathwise
    conditioning (Wilson et al. 2020, 2021), so that each is fixed and differentiable. With more training points than
    `inducing`, the regression is that of Titsias (2009).
    """

    revision: ClassVar[int | None] = 1
    hyperparameters: ClassVar[tuple[str, ...]] = ("lengthscale", "scale")

    lengthscale: float | None = Field(default=None, gt=0)
    """Distance over which the functions change. By default the one with the largest evidence."""
    scale: float | None = Field(default=None, gt=0)
    """Standard deviation of the functions' values. By default the one with the largest evidence."""
    ard: bool = False
    """Whether every input has a lengthscale of its own (automatic relevance determination), if none is given."""
    features: int = Field(default=256, ge=1)
    """Number of waves that a function of the prior is a sum of."""

    def fixed(self, network: nn.Module) -> dict[str, Tensor]:
        import torch

        given = {"lengthscale": self.lengthscale, "scale": self.scale}
        return {name: torch.tensor([value], dtype=torch.float64) for name, value in given.items() if value is not None}

    def starts(self, x: Tensor, targets: Targets) -> dict[str, list[float]]:
        import torch

        starts = {}
        if self.lengthscale is None:
            # Half of a sample's distances are larger: the median heuristic.
            median = torch.pdist(x).median().item() if len(x) > 1 else 0.0
            starts["lengthscale"] = [median or 1.0] * (x.shape[1] if self.ard else 1)
        if self.scale is None:
            starts["scale"] = [targets.values.square().mean().sqrt().item()]
        return starts

    def kernel(self, known: Mapping[str, Tensor]) -> Kernel:
        from bnnbench_plugins.gp.kernels import RadialBasis

        return RadialBasis(known["lengthscale"], known["scale"], self.features)
