"""The bundled posteriors that need only torch: a point estimate, a variational posterior, and draws from a file."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.torch"
    registry.posterior("sgd", f"{home}.sgd:Sgd", help="One network trained as usual: the deterministic baseline.")
    registry.posterior(
        "bayes-by-backprop",
        f"{home}.bayes_by_backprop:BayesByBackprop",
        help="Mean-field variational inference over every weight and bias.",
    )
    registry.posterior("saved", f"{home}.saved:Saved", help="Draws made elsewhere, read from a safetensors file.")
