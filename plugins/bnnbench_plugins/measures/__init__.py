"""The bundled measures."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    registry.measure(
        "out-of-distribution",
        "bnnbench_plugins.measures.out_of_distribution:OutOfDistribution",
        help="Telling another data set apart by uncertainty.",
    )
    home = "bnnbench_plugins.measures"
    registry.measure("predictions", f"{home}.predictions:Predictions", help="Clean accuracy, likelihood, calibration.")
    registry.measure("gradients", f"{home}.gradients:Gradients", help="Do gradients vanish, or only average out?")
    registry.measure("binarisation", f"{home}.binarisation:Binarisation", help="Does an attack find planted inputs?")
    registry.measure("fidelity", f"{home}.fidelity:Fidelity", help="How far a fit is from a reference fit.")
    registry.measure("stability", f"{home}.stability:Stability", help="Variability of the loss near the images.")
