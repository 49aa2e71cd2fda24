"""The bundled posterior that samples with BlackJAX, an extra."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    registry.posterior(
        "blackjax-mclmc",
        "bnnbench_plugins.blackjax.mclmc:BlackJAXMCLMC",
        help="Microcanonical Monte Carlo (extra blackjax).",
    )
