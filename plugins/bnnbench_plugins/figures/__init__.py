"""The bundled figures."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.figures"
    registry.figure("radius", f"{home}.radius:Radius", help="Robust accuracy against the radius, with the bracket.")
    registry.figure("bracket", f"{home}.bracket:Bracket", help="Width of the bracket against the radius.")
    registry.figure("sweep", f"{home}.sweep:Sweep", help="Robust accuracy against steps, queries and the like.")
    registry.figure("distances", f"{home}.distances:Distances", help="Smallest adversarial distances of the images.")
    registry.figure("selective", f"{home}.selective:Selective", help="Accuracy of the images that are most certain.")
    registry.figure("traces", f"{home}.traces:Traces", help="Traces of the chains of each fit.")
