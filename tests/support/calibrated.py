"""The posteriors that are calibrated by simulation, with settings that suit the networks of `simulation_based`.

Steps of those by stochastic gradients are so short that a few hundred simulations do not see their bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from simulation_based import DRAWS, PROBLEMS, Problem, Rejection, simulated

import bnnbench as bb


@dataclass(frozen=True)
class Method:
    """A posterior with settings.

    Attributes:
        use: its name; None for exact draws by rejection.
        settings: its parameters but `draws` and `prior_scale`.
        width: the factor of the standard deviation of the prior by which the posterior is wrong on purpose.
        points: the number of labels of a simulation.
    """

    use: str | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    width: float = 1.0
    points: int = 20

    def posterior(self, problem: Problem) -> bb.Posterior:
        """The posterior for a problem."""
        scale = self.width * problem.prior_scale
        if self.use is None:
            return Rejection(draws=DRAWS, prior_scale=scale, sizes=problem.sizes, points=problem.points)
        return bb.posterior(self.use, draws=DRAWS, prior_scale=scale, **self.settings)

    def ranks(self, network: str, simulations: int, seed: int = 0) -> tuple[np.ndarray, float]:
        """The ranks (simulations, Q) on a network of `PROBLEMS`, and the median ESS (`simulated`)."""
        problem = replace(PROBLEMS[network], points=self.points)
        return simulated(problem, self.posterior(problem), simulations, seed)


TRAJECTORIES = {"trajectory_length": 2.4, "step_size": 0.2, "leapfrog_steps": 10, "warmup": 40}
# Most draws of the prior would be rejected with 20 labels.
EXACT = {"exact": Method(None, points=8)}
SAMPLERS = {
    "numpyro-hmc": Method("numpyro-hmc", {**TRAJECTORIES, "thin": 4}),
    "numpyro-nuts": Method("numpyro-nuts", {"step_size": 0.2, "warmup": 40, "thin": 2}),
    "pyro-hmc": Method("pyro-hmc", {**TRAJECTORIES, "thin": 3}),
}
"""Samplers that are exact."""
BIASED: dict[str, Method] = {}
"""Samplers whose bias is smaller than what a few hundred simulations see."""
WRONG = {
    "exact, prior wrong by 2": Method(None, width=2, points=8),
    "numpyro-hmc, prior wrong by 2": Method("numpyro-hmc", {**TRAJECTORIES, "thin": 4}, width=2),
    "bayes-by-backprop": Method("bayes-by-backprop", {"epochs": 600}),
    "laplace": Method("laplace", {"weights": "all", "hessian": "full", "linearised": False, "epochs": 300}),
    "swag": Method("swag", {"epochs": 200}),
}
"""Posteriors that are not exact: controls, and approximations."""
if find_spec("blackjax"):
    SAMPLERS["blackjax-mclmc"] = Method("blackjax-mclmc", {**TRAJECTORIES, "thin": 6})
    BIASED["sgld"] = Method("sgld", {"learning_rate": 0.1, "batch_size": 10, "thin": 500, "warmup": 1500})
    BIASED["sghmc"] = Method("sghmc", {"learning_rate": 0.02, "batch_size": 10, "thin": 300, "warmup": 900})
    WRONG["sgld, long steps"] = Method("sgld", {"learning_rate": 4, "batch_size": 20, "thin": 50, "warmup": 500})
METHODS = EXACT | SAMPLERS | BIASED | WRONG
