"""The bundled posteriors that are made of others: ensembles of fits, and single networks made of one fit."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.ensembles"
    ensembles, derived = f"{home}.ensembles", f"{home}.one_network"
    registry.posterior("deep-ensemble", f"{ensembles}:DeepEnsemble", help="Networks trained from different starts.")
    registry.posterior(
        "bootstrap-ensemble", f"{ensembles}:BootstrapEnsemble", help="Networks trained on resampled training data."
    )
    registry.posterior("multi-swag", f"{ensembles}:MultiSwag", help="SWAG around each of several trained networks.")
    registry.posterior(
        "anchored-ensemble",
        f"{home}.anchored_ensemble:AnchoredEnsemble",
        help="Networks that are drawn to samples of the prior.",
    )
    registry.posterior("mean-network", f"{derived}:MeanNetwork", help="The network with the mean weights of a fit.")
    registry.posterior("one-draw", f"{derived}:OneDraw", help="The network of one draw of a fit.")
    registry.posterior(
        "last-layer", f"{home}.last_layer:LastLayer", help="The last layer by any posterior, on a trained network."
    )
