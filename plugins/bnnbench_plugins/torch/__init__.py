"""The bundled posteriors that need only torch: point estimates, approximate posteriors, and draws from a file."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.torch"
    registry.posterior("sgd", f"{home}.sgd:Sgd", help="One network trained as usual: the baseline.")
    registry.posterior(
        "adversarial-sgd",
        f"{home}.adversarial_sgd:AdversarialSgd",
        help="One network trained on inputs that PGD finds.",
    )
    registry.posterior("mc-dropout", f"{home}.mc_dropout:McDropout", help="Dropout, each draw with a mask of its own.")
    registry.posterior("swag", f"{home}.swag:Swag", help="A normal distribution around averaged weights of SGD.")
    registry.posterior(
        "bayes-by-backprop",
        f"{home}.bayes_by_backprop:BayesByBackprop",
        help="Mean-field variational inference over all weights.",
    )
    registry.posterior(
        "gaussian-vi",
        f"{home}.gaussian_vi:GaussianVI",
        help="Variational inference with correlated weights.",
    )
    registry.posterior("saved", f"{home}.saved:Saved", help="Draws made elsewhere, read from a safetensors file.")
