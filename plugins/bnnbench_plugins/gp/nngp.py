"""The limit of wide networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from bnnbench import Incompatible
from bnnbench_plugins.gp.process import GaussianProcess

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench_plugins.gp.dirichlet import Targets
    from bnnbench_plugins.gp.kernels import Kernel


class Nngp(GaussianProcess):
    """The Gaussian process that fully connected networks become as their hidden layers widen.

    Lee et al. (2018), Matthews et al. (2018). The number of hidden layers and the activation are those of the network,
    if it is a plain fully connected one; its widths and weights do not matter. The variance of a weight in the prior
    is weight_scale^2 / (inputs of the layer), unlike the `prior_scale` of posteriors over weights. Labels and draws are
    as for `gaussian-process`; a function of the prior is a network of finite width.
    """

    revision: ClassVar[int | None] = 1
    hyperparameters: ClassVar[tuple[str, ...]] = ("hidden_layers", "activation", "slope", "output_scale")

    hidden_layers: int | None = Field(default=None, ge=1, le=20)
    """Number of hidden layers. By default that of the network."""
    activation: Literal["relu", "leaky-relu", "tanh", "sigmoid"] | None = None
    """Activation after each hidden layer. By default that of the network."""
    weight_scale: float = Field(default=1.4, gt=0)
    """Standard deviation of a weight times the square root of its layer's inputs."""
    bias_scale: float = Field(default=0.3, ge=0)
    """Standard deviation of a bias."""
    output_scale: float | None = Field(default=None, gt=0)
    """Factor of all outputs. By default the one with the largest evidence; 1 gives the network's own scale."""
    width: int = Field(default=128, ge=1)
    """Units in the hidden layers of the networks that stand for functions of the prior."""

    def fixed(self, network: nn.Module) -> dict[str, Tensor]:
        import torch

        from bnnbench_plugins.gp.architecture import Architecture, architecture_of
        from bnnbench_plugins.gp.wide_networks import ACTIVATIONS

        if self.hidden_layers is not None and self.activation is not None:
            found = Architecture(self.hidden_layers, self.activation)
        else:
            try:
                found = architecture_of(network)
            except Incompatible as error:
                raise Incompatible(
                    f"nngp reads hidden_layers and activation from plain fully connected networks, and this one has "
                    f"{error}: set both"
                ) from error
        layers, activation = self.hidden_layers or found.hidden_layers, self.activation or found.activation
        known = {
            "hidden_layers": torch.tensor([layers]),
            "activation": torch.tensor([ACTIVATIONS.index(activation)]),
            "slope": torch.tensor([found.slope]),
        }
        if self.output_scale is not None:
            known["output_scale"] = torch.tensor([self.output_scale], dtype=torch.float64)
        return known

    def starts(self, x: Tensor, targets: Targets) -> dict[str, list[float]]:
        return {} if self.output_scale is not None else {"output_scale": [1.0]}

    def kernel(self, known: Mapping[str, Tensor]) -> Kernel:
        from bnnbench_plugins.gp.wide_networks import WideNetwork, activation_of

        return WideNetwork(
            int(known["hidden_layers"]),
            activation_of(int(known["activation"]), float(known["slope"])),
            self.weight_scale,
            self.bias_scale,
            known["output_scale"],
            self.width,
        )
