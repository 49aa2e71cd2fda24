"""The bundled posteriors that sample by stochastic gradients, with BlackJAX (an extra)."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.sgmcmc.samplers"
    registry.posterior("sgld", f"{home}:SGLD", help="Langevin dynamics by minibatches (extra blackjax).")
    registry.posterior("sghmc", f"{home}:SGHMC", help="Stochastic gradient HMC (extra blackjax).")
