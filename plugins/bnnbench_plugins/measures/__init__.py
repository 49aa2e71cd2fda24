"""The bundled measures."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.measures"
    registry.measure("predictions", f"{home}.predictions:Predictions", help="Clean accuracy, likelihood, calibration.")
