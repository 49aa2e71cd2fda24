"""The bundled networks."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.networks"
    registry.network("fc", f"{home}.fully_connected:FullyConnected", help="One to five fully connected hidden layers.")
    registry.network("conv", f"{home}.convolutional:Convolutional", help="Two convolutions with pooling, then linear.")
