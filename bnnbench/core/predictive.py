"""The posterior predictive of a fitted, fixed, indexed ensemble of draws."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core.posterior import Draws

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from bnnbench.core.objective import Objective
    from bnnbench.core.posterior import Posterior
    from bnnbench.core.routes import Footprint


class Predictive:
    """An ensemble of S draws of a network's weights; p(y | x) is the mean of the draws' softmax (the paper's Eq. 1).

    Args:
        network: an `nn.Module` from (N, *shape) to logits (N, K). A frozen copy is kept, in eval mode, on its device.
        draws: `Draws`, or a mapping from `state_dict` names to arrays of shape (S, *weight).

    Raises `ValueError` if a parameter of the network has no draws, a name is not the network's, or a shape differs.

    A posterior whose draws are not weights overrides `logits`; everything else follows from it.
    """

    def __init__(self, network: nn.Module, draws: Draws | Mapping[str, Any]) -> None:
        import torch

        if not isinstance(draws, Draws | Mapping):
            raise TypeError(
                f"draws are a mapping from names to arrays (S, *weight), not {type(draws).__name__}; of several "
                "state_dicts, stack the tensors of each name"
            )
        if not isinstance(draws, Draws):
            draws = Draws({name: _with_chain_axis(array) for name, array in draws.items()})
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        arrays = draws.flat()
        if type(self).logits is Predictive.logits:
            _check_names(self.network, draws)
            arrays = _each_weight_once(self.network, arrays)
        first = next(self.network.parameters(), None)
        self.device: torch.device = torch.device("cpu") if first is None else first.device
        self.chains, self.per_chain, self.diagnostics = draws.chains, draws.per_chain, draws.diagnostics
        floating = [array.dtype for array in arrays.values() if array.dtype.kind == "f"]
        self.dtype: torch.dtype = (
            torch.from_numpy(np.zeros(1, np.result_type(*floating))).dtype if floating else torch.float32
        )
        self.network.to(self.dtype)
        self.draws: dict[str, Tensor] = {name: _laid_out(self._own(array)) for name, array in arrays.items()}
        self.shared: dict[str, Tensor] = {name: self._own(array) for name, array in draws.shared.items()}
        self.fitted_by: Posterior | None = None
        self._members: dict[int, nn.Module] = {}
        self.footprints: dict[tuple[int, ...], Footprint] = {}

    def _own(self, array: np.ndarray) -> Tensor:
        """A copy: what its owner does with the array afterwards is no business of the ensemble's."""
        import torch

        tensor = torch.from_numpy(np.array(array))
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def __len__(self) -> int:
        return self.chains * self.per_chain

    def indices(self, draws: slice | Sequence[int] = slice(None)) -> list[int]:
        """The positions, in 0..S-1, that a slice or a sequence of positions selects."""
        every = range(len(self))
        return list(every[draws]) if isinstance(draws, slice) else [every[int(draw)] for draw in draws]

    def logits(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        """Logits (S, N, K) of the selected draws at inputs (N, *shape), differentiable in x: the method to override."""
        import torch

        x = x.to(self.device, self.dtype)
        return torch.stack([self.member(index)(x) for index in self.indices(draws)])

    def member(self, index: int) -> nn.Module:
        """The network with the weights of one draw, which it shares with the ensemble."""
        if index not in self._members:
            self._members[index] = _with_weights(
                self.network, {**self.shared, **{name: tensor[index] for name, tensor in self.draws.items()}}
            )
        return self._members[index]

    def log_probs(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        """Log predictive probabilities (N, K): logsumexp over the draws' log-softmax, less log S."""
        from bnnbench.core import streaming

        return streaming.log_probs(self, x, self.indices(draws))

    def draw_log_probs(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        """Each draw's own log-probabilities (S, N, K), without gradient."""
        from bnnbench.core import streaming

        return streaming.draw_log_probs(self, x, self.indices(draws))

    def gradient(
        self, x: Tensor, y: Tensor, objective: Objective | str, draws: slice | Sequence[int] = slice(None)
    ) -> Tensor:
        """The gradient of the objective with respect to x, of the inputs' shape, streamed over the draws."""
        from bnnbench.core import streaming

        return streaming.gradient(self, x, y, as_objective(objective), self.indices(draws))

    def direction(
        self, x: Tensor, y: Tensor, objective: Objective | str, draws: slice | Sequence[int] = slice(None)
    ) -> Tensor:
        """The gradient up to a positive factor for each image, free of underflow where the network saturates."""
        from bnnbench.core import streaming

        return streaming.probe(self, x, y, as_objective(objective), self.indices(draws)).direction

    def as_module(self) -> nn.Module:
        """A torch module from inputs to log predictive probabilities (N, K), for any other library."""
        from torch import nn

        predictive = self

        class LogProbs(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return predictive.log_probs(x)

        return LogProbs().eval()

    def save(self, path: str | Path) -> None:
        """Write the draws, and the recipe of their network if it has one, as a safetensors file for `bnnbench.load`."""
        from bnnbench.core.saving import save

        save(self, path)


def as_objective(objective: Objective | str) -> Objective:
    """An objective itself, or the registered one of that name."""
    if isinstance(objective, str):
        from bnnbench.plugins.registry import registry

        return registry().create("objective", objective, {})
    return objective


def _with_chain_axis(array: Any) -> np.ndarray:
    array = array.detach().cpu().numpy() if hasattr(array, "detach") else np.asarray(array)
    return array[None]


def _each_weight_once(network: nn.Module, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays without the further names of weights that a network uses in several places, as in its `state_dict`."""
    first: dict[int, str] = {}
    kept = dict(arrays)
    for name, weight in network.named_parameters(remove_duplicate=False):
        known = first.setdefault(id(weight), name)
        if known != name and name in kept and known in kept:
            if not np.array_equal(kept[name], kept[known]):
                raise ValueError(f"{known} and {name} are one weight of the network, but their draws differ")
            del kept[name]
    return kept


def _laid_out(draws: Tensor) -> Tensor:
    """Draws (S, *weight) as they are, or, of images' convolutions on a CPU, each with its channels last: torch then
    takes the kernels that are up to twice as fast. The values are the same."""
    import torch

    if draws.ndim != 5 or draws.device.type != "cpu":
        return draws
    _, outputs, channels, height, width = draws.shape
    # Strides in full: where there is one channel both layouts hold the same bytes, and they alone say which is meant.
    strides = (outputs * channels * height * width, channels * height * width, 1, width * channels, channels)
    return torch.empty_strided(draws.shape, strides, dtype=draws.dtype).copy_(draws)


def _with_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """A copy of the network with these weights and buffers in the place of its own. No tensor is copied: calling it
    costs less than putting weights into one network and taking them out again, and threads do not meet in it."""
    from torch import Tensor, nn

    copies: dict[int, Any] = {}
    for module in network.modules():
        copies |= {id(value): value for value in vars(module).values() if isinstance(value, Tensor | np.ndarray)}
    copies |= {id(buffer): buffer for buffer in network.buffers()}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if name in weights:
            copies[id(parameter)] = nn.Parameter(weights[name], requires_grad=False)
    for name, buffer in network.named_buffers(remove_duplicate=False):
        if name in weights:
            copies[id(buffer)] = weights[name]
    return copy.deepcopy(network, copies)


def _check_names(network: nn.Module, draws: Draws) -> None:
    state = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: array.shape[2:] for name, array in draws.arrays.items()}
    given |= {name: array.shape for name, array in draws.shared.items()}
    unknown = sorted(given.keys() - state.keys())
    if unknown:
        raise ValueError(f"draws of {', '.join(unknown)}: the network's weights are {', '.join(state)}")
    missing = sorted(dict(network.named_parameters()).keys() - given.keys())
    if missing:
        raise ValueError(f"no draws of the network's weights {', '.join(missing)}")
    for name, shape in given.items():
        if shape != state[name]:
            raise ValueError(f"draws of {name} have shape {shape}, the network's weight {state[name]}")


def name_of(predictive: Predictive) -> str:
    """How a breach of the rules by a predictive names it: whose network it is nobody knows."""
    kind = type(predictive)
    return "the predictive" if kind is Predictive else f"predictive {kind.__module__}.{kind.__qualname__}"
