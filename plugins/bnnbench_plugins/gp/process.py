"""What the posteriors over functions share: their parameters, and the fit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from bnnbench import Data, Draws, Incompatible, Posterior, Predictive, Progress, no_progress
from bnnbench.authoring import training_seeds

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from bnnbench_plugins.gp.dirichlet import Targets
    from bnnbench_plugins.gp.evidence import SearchEnd
    from bnnbench_plugins.gp.kernels import Kernel

MEMORY = 4 * 2**30
"""Largest size in bytes of the matrices of a fit."""
CONCENTRATIONS = (0.1, 0.01, 0.001, 0.0001)
"""The concentrations that are tried where none is given."""
_MATRICES = 4
"""Number of matrices (inducing points)^2 in float64 that a fit holds for each class."""


class _Choice(NamedTuple):
    """A concentration, hyperparameters, where the search for them has ended, and the loss of points left out."""

    concentration: float
    found: dict[str, Tensor]
    end: SearchEnd
    loss: float

    @property
    def doubt(self) -> str:
        """Why the hyperparameters may not have the largest evidence; empty if they have."""
        names = " and ".join(self.found)
        return {
            "maximum": "",
            "edge": f"the evidence has no maximum of {names} in the range searched",
            "early": f"the search for the largest evidence of {names} ended early",
        }[self.end]


class GaussianProcess(Posterior):
    """A posterior over functions with a Gaussian process as prior, one function for each class.

    The probabilities of a draw are the softmax of its functions. Labels are read as in Dirichlet-based classification
    (Milios et al. 2018), which makes the posterior that of a regression. The draws are fixed functions of the input.
    A subclass gives the kernel.
    """

    independent_draws: ClassVar[bool] = True
    hyperparameters: ClassVar[tuple[str, ...]]
    """The names of the arrays that the kernel is made from."""

    concentration: float | None = Field(default=None, gt=0)
    """What the Dirichlet distribution of a label holds of each class that the label does not name. The smaller it is,
    the more certain labels are taken to be. By default the power of ten, from 0.1 to 0.0001, that predicts evidence
    points best from all others of them."""
    inducing: int = Field(default=1000, ge=1)
    """Number of inducing points, a random sample of the training inputs. With as many as there are, the regression is
    exact. The time grows with the cube of the number, and with its square times the number of training points."""
    evidence_points: int = Field(default=400, ge=1)
    """Number of training points, a random sample, that decide on what is not given: hyperparameters of the kernel by
    their evidence, and the concentration."""

    def fixed(self, network: nn.Module) -> dict[str, Tensor]:
        """What the kernel needs and is known before the data are seen. Raises `Incompatible` for a wrong network."""
        raise NotImplementedError

    def starts(self, x: Tensor, targets: Targets) -> dict[str, list[float]]:
        """The hyperparameters that the evidence decides on, each with its first value or values."""
        raise NotImplementedError

    def kernel(self, known: Mapping[str, Tensor]) -> Kernel:
        """The kernel, from the arrays of `fixed` and the hyperparameters."""
        raise NotImplementedError

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise `Incompatible` for a network that the kernel cannot be read from, or if the matrices are too large."""
        self.fixed(network)
        asked = max(self.inducing, self.evidence_points)
        size = min(asked, len(data.train[1])) if data.train else asked
        bytes_of_square = _MATRICES * data.classes * 8
        if bytes_of_square * size**2 > MEMORY:
            raise Incompatible(
                f"regressions on {size} points and {data.classes} classes need "
                f"{bytes_of_square * size**2 / 2**30:.1f} GiB, more than {MEMORY / 2**30:.0f} GiB: "
                f"set inducing and evidence_points to at most {int((MEMORY / bytes_of_square) ** 0.5)}"
            )

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Independent draws of functions: arrays (1, draws, *shape). The inducing points are shared.

        Diagnostics: each hyperparameter of the kernel that is one number, by its name; `concentration`; `inducing`, the
        number of inducing points; `seconds`, the wall time; `unfinished`, a text, if the evidence has no maximum in the
        range that was searched, or the search ended before it. Raises `Incompatible` as `check` does.
        """
        import torch

        from bnnbench_plugins.gp.dirichlet import dirichlet_targets
        from bnnbench_plugins.gp.regression import Regression

        began = time.perf_counter()
        self.check(network, data)
        parameter = next(network.parameters(), None)
        device = torch.device("cpu") if parameter is None else parameter.device
        order_seed, noise_seed = training_seeds(seed)
        noise = torch.Generator(device).manual_seed(noise_seed)
        x, y = (array.to(device) for array in data.train or ())
        x = x.flatten(1).double()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(order_seed)).to(device)
        some = order[: self.evidence_points]
        with torch.no_grad():
            progress(0, 3, "hyperparameters")
            known = {name: array.to(device) for name, array in self.fixed(network).items()}
            tried = CONCENTRATIONS if self.concentration is None else (self.concentration,)
            every = [self._chosen(known, one, x[some], y[some], data.classes, noise) for one in tried]
            best = min(every, key=lambda choice: choice.loss)
            progress(1, 3, "regression")
            known |= best.found
            targets = dirichlet_targets(y, data.classes, best.concentration)
            regression = Regression.of(self.kernel(known), x[order[: self.inducing]], x, targets)
            progress(2, 3, "draws")
            arrays = regression.draws(self.draws, noise)
            progress(3, 3)
        diagnostics: dict[str, float | str] = {
            name: array.item() for name, array in best.found.items() if array.numel() == 1
        }
        diagnostics |= {"concentration": best.concentration, "inducing": len(regression.points)}
        if best.doubt:
            diagnostics["unfinished"] = best.doubt
        return Draws(
            {name: array[None] for name, array in arrays.items()},
            shared={name: array.float() for name, array in {**known, "points": regression.points}.items()},
            diagnostics={**diagnostics, "seconds": time.perf_counter() - began},
        )

    def _chosen(
        self,
        known: Mapping[str, Tensor],
        concentration: float,
        x: Tensor,
        y: Tensor,
        classes: int,
        noise: torch.Generator,
    ) -> _Choice:
        """The hyperparameters that points choose at a concentration, and how well they predict each other."""
        import torch

        from bnnbench_plugins.gp.dirichlet import dirichlet_targets
        from bnnbench_plugins.gp.evidence import left_out_loss, with_most_evidence

        targets = dirichlet_targets(y, classes, concentration)
        starts = self.starts(x, targets)
        sizes = [len(values) for values in starts.values()]
        found: dict[str, Tensor] = {}
        end: SearchEnd = "maximum"
        if starts:

            def named(values: Tensor) -> dict[str, Tensor]:
                return dict(zip(starts, values.split(sizes), strict=True))

            first = [value for values in starts.values() for value in values]
            best, end = with_most_evidence(lambda values: self.kernel({**known, **named(values)}), first, x, targets)
            found = named(torch.tensor(best, dtype=x.dtype, device=x.device))
        loss = left_out_loss(self.kernel({**known, **found}).matrix(x, x), targets, y, noise)
        return _Choice(concentration, found, end, loss)

    def predictive(self, network: nn.Module, draws: Draws) -> Predictive:
        """The predictive of the drawn functions. The network is not evaluated."""
        from bnnbench_plugins.gp.functions import Functions

        return Functions(network, draws, self.kernel, self.hyperparameters)
