"""The block of residual networks."""

from __future__ import annotations

from torch import Tensor, nn

from bnnbench_plugins.networks.activations import Activation, activation


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group normalisation, to whose output the input is added.

    The input passes a 1x1 convolution with group normalisation if the block changes the number of channels or the size.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        stride: stride of the first convolution; with 2 the block halves height and width, rounded up.
        groups: groups of channels that are normalised together; divides `outputs`.
        name: the activation after the first convolution and after the sum.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int, name: Activation) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(groups, outputs)
        self.first_activation = activation(name)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(groups, outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            project = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(project, nn.GroupNorm(groups, outputs))
        self.last_activation = activation(name)

    def forward(self, x: Tensor) -> Tensor:
        """The output (N, outputs, height / stride, width / stride) of images x (N, inputs, height, width)."""
        inner = self.second_norm(self.second(self.first_activation(self.first_norm(self.first(x)))))
        return self.last_activation(inner + self.shortcut(x))
