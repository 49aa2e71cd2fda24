"""Stochastic gradient Langevin dynamics and Hamiltonian Monte Carlo.

Both follow an estimate of the gradient of the log posterior density log p from a minibatch of B of the N training
points, N/B times the gradient of its log-likelihood plus that of the log prior:

    sgld     w <- w + e grad log p(w) + N(0, 2 T e)                                   (Welling and Teh 2011)
    sghmc    w <- w + h r,     r <- m r + h grad log p(w) + N(0, 2 T (1 - m))         (Chen et al. 2014, algorithm 2)

with momentum m, temperature T = 1, e = h^2 = `learning_rate` / N; with v = h r the second line is their equation 15. A
step without noise is one of stochastic gradient descent on the mean loss of a training point, with this learning rate.
Neither step is accepted or rejected, and the noise of the gradient is not taken off. So the draws are biased, by less
the smaller the learning rate is. The draws are kept with equal weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from bnnbench import Data, Draws, Progress, no_progress
from bnnbench_plugins.sgmcmc.parameters import Steps

if TYPE_CHECKING:
    from torch import nn


class StochasticGradients(Steps):
    """The base of both samplers, on networks that JAX can run."""

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise `Incompatible` for a network that JAX cannot run, `BnnbenchError` if BlackJAX is not installed."""
        from bnnbench_plugins.blackjax.installed import require_blackjax
        from bnnbench_plugins.numpyro.sampling import check

        require_blackjax()
        check(network, data)

    def fit_chain(
        self, network: nn.Module, data: Data, *, seed: int, chain: int, progress: Progress = no_progress
    ) -> Draws:
        """Draws of one chain: arrays (1, draws / chains, *weight).

        Diagnostics: `step_size`, the mean learning rate of the steps after the warm-up, of shape (1,); `gradients`, the
        number of all points whose gradients were taken, divided by that of training points; `seconds`, the wall time;
        the text `biased`; and `held_fixed` and `start`, as for Hamiltonian samplers. Raises `Incompatible` for a
        network without parameters, or with an operation that has no JAX form, and `FloatingPointError` if a weight is
        not finite.
        """
        from bnnbench_plugins.blackjax.installed import require_blackjax

        require_blackjax()
        from bnnbench_plugins.sgmcmc.sampling import sample

        return sample(self, network, data, seed, chain, progress)


class SGLD(StochasticGradients):
    """Stochastic gradient Langevin dynamics (Welling and Teh 2011), with constant, decreasing or cyclical steps.

    The likelihood is categorical. A network with a layer that has no JAX form is incompatible.
    """

    revision: ClassVar[int | None] = 1


class SGHMC(StochasticGradients):
    """Stochastic gradient Hamiltonian Monte Carlo (Chen et al. 2014), with constant steps or cyclical ones.

    The likelihood is categorical. The noise of the gradient is taken to be zero (their B-hat = 0). A network with a
    layer that has no JAX form is incompatible.
    """

    revision: ClassVar[int | None] = 1

    schedule: Literal["constant", "cyclical"] = "constant"
    """`constant`: all steps are alike. `cyclical`: in each cycle the learning rate falls along half a cosine to zero
    (Zhang et al. 2020)."""
    learning_rate: float = Field(default=0.03, gt=0)
    """Length of a step, in the units of stochastic gradient descent; under a schedule, the largest one."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Share of the momentum of the weights that a step keeps: 1 less the friction."""

    @property
    def decay(self) -> float | None:
        """The momentum of the steps."""
        return self.momentum
