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
        if type(self).logits is Predictive.logits:
            _check_names(self.network, draws)
        first = next(self.network.parameters(), None)
        self.device: torch.device = torch.device("cpu") if first is None else first.device
        self.chains, self.per_chain, self.diagnostics = draws.chains, draws.per_chain, draws.diagnostics
        self.draws: dict[str, Tensor] = {
            name: torch.as_tensor(array).to(self.device) for name, array in draws.flat().items()
        }
        self.shared: dict[str, Tensor] = {
            name: torch.as_tensor(array).to(self.device) for name, array in draws.shared.items()
        }
        floating = [tensor.dtype for tensor in self.draws.values() if tensor.is_floating_point()]
        self.dtype: torch.dtype = floating[0] if floating else torch.float32
        self.fitted_by: Posterior | None = None
        self.footprints: dict[tuple[int, ...], Footprint] = {}

    def __len__(self) -> int:
        return self.chains * self.per_chain

    def indices(self, draws: slice | Sequence[int] = slice(None)) -> list[int]:
        """The positions, in 0..S-1, that a slice or a sequence of positions selects."""
        every = range(len(self))
        return list(every[draws]) if isinstance(draws, slice) else [every[int(draw)] for draw in draws]

    def logits(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        """Logits (S, N, K) of the selected draws at inputs (N, *shape), differentiable in x: the method to override."""
        import torch
        from torch.func import functional_call

        x = x.to(self.device, self.dtype)
        outputs = []
        for index in self.indices(draws):
            weights = {name: tensor[index] for name, tensor in self.draws.items()}
            outputs.append(functional_call(self.network, {**self.shared, **weights}, (x,)))
        return torch.stack(outputs)

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
