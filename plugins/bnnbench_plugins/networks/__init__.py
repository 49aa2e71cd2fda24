"""The bundled networks."""

from typing import Any

from bnnbench import hookimpl


@hookimpl
def bnnbench_register(registry: Any) -> None:
    home = "bnnbench_plugins.networks"
    registry.network("fc", f"{home}.fully_connected:FullyConnected", help="One to five fully connected hidden layers.")
    registry.network("conv", f"{home}.convolutional:Convolutional", help="Two convolutions with pooling, then linear.")
    registry.network("lenet", f"{home}.lenet:LeNet", help="LeNet-5: two convolutions and three linear layers.")
    registry.network("resnet-small", f"{home}.residual:ResNetSmall", help="A small residual network with GroupNorm.")
    registry.network("conv-groupnorm", f"{home}.conv_groupnorm:ConvGroupNorm", help="Six convolutions with GroupNorm.")
