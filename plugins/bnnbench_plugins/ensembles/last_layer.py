"""A posterior of the last linear layer alone, given the features of a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from bnnbench import Data, Derived, Draws, Incompatible, PosteriorParameter, Progress, no_progress
from bnnbench.authoring import fresh_network

if TYPE_CHECKING:
    from torch import Tensor, nn

_SGD: Any = "bnnbench:sgd"
_LAPLACE: Any = {"use": "bnnbench:laplace", "hessian": "full"}


class LastLayer(Derived):
    """The last linear layer by any posterior, on the features of a trained network (Snoek et al. 2015).

    The other layers are those of the single draw of `of`, and all draws share them. What enters the last layer at the
    training inputs are the data of a network of one linear layer, to which `layer` is fitted: its draws are the last
    layers. The posterior of a linear model has one mode, so a sampler can explore it where it fails on the whole
    network. What is not known of the other layers is ignored (Kristiadi et al. 2020).
    """

    revision: ClassVar[int | None] = 1

    draws: int = Field(default=50, ge=1, le=1_000_000)
    """Number of draws. It follows from `layer`."""
    of: PosteriorParameter = Field(default=_SGD)
    """The posterior that trains the network, of one draw. In a benchmarks file, a label of `posteriors` shares the fit
    of that row."""
    layer: PosteriorParameter = Field(default=_LAPLACE)
    """The posterior of the last layer, over its weights. Its prior is that of the last layer; its seed is the fit's."""

    @model_validator(mode="after")
    def _draws_are_those_of_the_layer(self) -> Self:
        if self.of.draws != 1:
            raise ValueError(f"of has {self.of.draws} draws: choose a posterior of one, such as sgd or one-draw")
        if "draws" in self.model_fields_set and self.draws != self.layer.draws:
            raise ValueError(f"draws ({self.draws}) must be those of layer ({self.layer.draws}): leave draws out")
        object.__setattr__(self, "draws", self.layer.draws)
        return self

    @property
    def independent_draws(self) -> bool:  # type: ignore[override]
        """Whether the draws of the last layer are independent."""
        return self.layer.independent_draws

    @property
    def draws_at_most(self) -> bool:  # type: ignore[override]
        """Whether the fit of the last layer may return fewer draws."""
        return self.layer.draws_at_most

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise `Incompatible` if there is no last linear layer, and what the checks of `of` and `layer` raise."""
        self.of.check(network, data)
        fresh = fresh_network(network, 0)
        name, features = _last_layer(fresh, data, few=True)
        self.layer.check(fresh.get_submodule(name), features)

    def derive(
        self, network: nn.Module, data: Data, draws: Draws, *, seed: int, progress: Progress = no_progress
    ) -> Draws:
        """Draws of the last layer: arrays (chains, draws / chains, *weight); the other weights are shared arrays.

        The diagnostics are those of `layer`. Raises `Incompatible` as `check` does, and if the draws of either
        posterior are not weights.
        """
        trained = fresh_network(network, seed)
        _load(trained, draws)
        name, features = _last_layer(trained, data)
        prefix = f"{name}." if name else ""
        template = fresh_network(trained.get_submodule(name), seed)
        fitted = self.layer.fit(template, features, seed=seed, progress=progress)
        own = dict(template.named_parameters())
        if fitted.arrays.keys() != own.keys():
            raise Incompatible("the draws of layer are not weights of a network")
        arrays = {prefix + weight: array for weight, array in fitted.arrays.items()}
        shared = {key: tensor.detach() for key, tensor in trained.state_dict().items() if key not in arrays}
        return Draws(arrays, shared=shared, diagnostics=fitted.diagnostics)


def _load(network: nn.Module, draws: Draws) -> None:
    """Give a network the weights and buffers of a single draw. Raises `Incompatible` if it is no draw of weights."""
    import torch

    values = draws.shared | {name: array[0, 0] for name, array in draws.arrays.items()}
    state = network.state_dict(keep_vars=True)
    if not dict(network.named_parameters()).keys() <= values.keys() <= state.keys():
        raise Incompatible("the draw of the other fit (of) is not weights of a network")
    with torch.no_grad():
        for name, value in values.items():
            state[name].copy_(torch.from_numpy(value))


def _last_layer(network: nn.Module, data: Data, *, few: bool = False) -> tuple[str, Data]:
    """The name of the last linear layer, and the training data that it sees: of all points, or of a few."""
    from bnnbench_plugins.torch.logit_layer import features, last_linear_layer

    device = next(network.parameters()).device
    x, y = (tensor[:8] if few else tensor for tensor in data.train)
    name = last_linear_layer(network, x[:2].to(device))
    entered: Tensor = features(network, name, x.to(device)).cpu()
    # Data have a box with some width and a test sample; neither takes part in a fit.
    box = (float(entered.min()) - 1, float(entered.max()) + 1)
    return name, Data(train=(entered, y), test=(entered[:1], y[:1]), bounds=box, classes=data.classes)
