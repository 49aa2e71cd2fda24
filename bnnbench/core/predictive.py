"""The posterior predictive: a fixed ensemble of the draws of a network's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bnnbench.core import state_dicts
from bnnbench.core.arguments import integer
from bnnbench.core.component import Component
from bnnbench.core.draws import Draws
from bnnbench.core.draws_file import write_draws
from bnnbench.core.ensemble import members
from bnnbench.core.given import is_several, tensor_of
from bnnbench.core.labels import labels
from bnnbench.core.model_outputs import with_outputs
from bnnbench.core.network_copy import copied, in_eval_mode
from bnnbench.core.network_outputs import Outputs, checked_logits
from bnnbench.core.objective import Objective, as_objective
from bnnbench.core.predictive_header import header_of
from bnnbench.core.standard_settings import standard_settings
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import StoreError, one_line
from bnnbench.plugins.described import counted, described

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from bnnbench.core.ensemble.protocol import Footprint


class Predictive:
    """An ensemble of S draws of a network's weights.

    The predictive probability p(y | x) is the mean of the draws' softmax outputs (Carbone et al. 2020, Eq. 1).
    `len(predictive)` is S. A posterior whose draws are not weights of the network returns a subclass that overrides
    `logits`; all other methods follow from it.

    Args:
        network: an `nn.Module` from inputs (N, *shape) to logits (N, K). The predictive keeps a frozen copy in eval
            mode, on the same device and in the precision of the draws.
        draws: `Draws`, or a mapping from `state_dict` names to arrays of shape (S, *weight).
        outputs: what the network returns: `logits`, `probabilities` or `log-probabilities`. By default logits or
            log-probabilities; outputs that look like probabilities are then refused.

    Attributes:
        network: the copy of the network.
        draws: name -> tensor (S, *weight).
        shared: name -> tensor that all draws share, such as a buffer.
        chains: the number of chains. The draws are ordered chain after chain.
        per_chain: the number of draws of each chain.
        diagnostics: the diagnostics of the draws.
        device: the device of the network.
        dtype: the floating type of the draws.
        fitted_by: the posterior that `bnnbench.fit` fitted, or None.
        bounds: the box of the inputs, or None if it is not known.
        footprints: measured costs of one image, by the shape of inputs; the numerics keep them here.

    Raises `ValueError` if a parameter of the network has no draws, a name is not in its `state_dict`, or a shape
    differs; `TypeError` if the draws are no mapping; `NetworkError` if the network cannot be copied.
    """

    def __init__(self, network: nn.Module, draws: Draws | Mapping[str, Any], *, outputs: Outputs | None = None) -> None:
        with standard_settings():
            self._prepare(network, state_dicts.as_draws(draws, network), outputs)

    def _prepare(self, network: nn.Module, draws: Draws, outputs: Outputs | None) -> None:
        import torch

        self.network = in_eval_mode(with_outputs(copied(network), outputs)).requires_grad_(False)
        arrays = draws.flat()
        if self.runs_its_network:
            members.check_names(self.network, draws)
            arrays = members.first_names_only(self.network, arrays)
        first = next(self.network.parameters(), None)
        self.device: torch.device = torch.device("cpu") if first is None else first.device
        self.chains, self.per_chain, self.diagnostics = draws.chains, draws.per_chain, draws.diagnostics
        floating = [array.dtype for array in arrays.values() if array.dtype.kind == "f"]
        self.dtype: torch.dtype = (
            torch.from_numpy(np.zeros(1, np.result_type(*floating))).dtype if floating else torch.float32
        )
        self.network.to(self.dtype)
        self.draws: dict[str, Tensor] = {name: self._copied(array) for name, array in arrays.items()}
        self.shared: dict[str, Tensor] = {name: self._copied(array) for name, array in draws.shared.items()}
        self.fitted_by: Component | None = None
        self.bounds: tuple[float, float] | None = None
        self._members: dict[int, nn.Module] = {}
        self.footprints: dict[tuple[int, ...], Footprint] = {}
        if self.runs_its_network:
            self.draws |= members.fast_layouts(self.network, self.draws, self.shared)

    def _copied(self, array: np.ndarray) -> Tensor:
        """A copy of an array as a tensor on the device, so that later changes of the array have no effect."""
        import torch

        tensor = torch.from_numpy(np.array(array))
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def __len__(self) -> int:
        return self.chains * self.per_chain

    def __repr__(self) -> str:
        return f"{type(self).__name__}({counted(len(self), 'draw')}, {type(self.network).__name__}, {self.device})"

    def indices(self, draws: slice | Sequence[int] = slice(None)) -> list[int]:
        """The positions of draws, from 0 to S - 1, that a slice or a sequence of positions selects.

        Negative positions count from the end. Raises `IndexError` for a position outside of the ensemble and if none is
        selected, and `TypeError` for anything else than positions.
        """
        positions = range(len(self))
        if not isinstance(draws, slice) and not is_several(draws):
            raise TypeError(f"draws are a slice or a list of positions, not {described(draws)}")
        chosen = positions[draws] if isinstance(draws, slice) else [self._position(draw) for draw in draws]
        if not chosen:
            raise IndexError(f"no draw of {len(self)} is selected")
        return list(chosen)

    def _position(self, draw: Any) -> int:
        """The position of one draw, from 0 to S - 1. Flags and fractions, which would count as positions, are none."""
        position = draw if type(draw) is int else integer(draw, argument="each of draws", meant="a position")
        if not -len(self) <= position < len(self):
            raise IndexError(f"there is no draw {position} among {len(self)}")
        return position % len(self)

    def logits(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        """Logits (S, N, K) of the selected draws at inputs x (N, *shape), differentiable in x.

        This is the method that a subclass overrides.
        """
        import torch

        # Networks that call `view` need contiguous inputs.
        x = tensor_of(x).to(self.device, self.dtype).contiguous()
        outputs = (self.member(index)(x) for index in self.indices(draws))
        return torch.stack([checked_logits(output, self.network, len(x)) for output in outputs])

    def member(self, index: int) -> nn.Module:
        """The network with the weights of one draw. Its tensors are those of the ensemble, not copies."""
        if index not in self._members:
            self._members[index] = members.with_weights(
                self.network, {**self.shared, **{name: tensor[index] for name, tensor in self.draws.items()}}
            )
        return self._members[index]

    def log_probs(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        """Log predictive probabilities (N, K) of the selected draws at inputs x (N, *shape), differentiable in x.

        They are log(1/S sum_s softmax(logits_s)), computed without forming probabilities.
        """
        from bnnbench.core.ensemble import maths

        return maths.log_probs(self, tensor_of(x), self.indices(draws))

    def draw_log_probs(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        """The log-probabilities (S, N, K) of each selected draw at inputs x (N, *shape), without gradient."""
        from bnnbench.core.ensemble import maths

        return maths.draw_log_probs(self, tensor_of(x), self.indices(draws))

    def gradient(
        self, x: Tensor, y: Tensor, objective: Objective | str, draws: slice | Sequence[int] = slice(None)
    ) -> Tensor:
        """The gradient (N, *shape) of an objective with respect to the inputs x (N, *shape), given labels y (N,).

        `objective` is an `Objective` or a registered name. Memory does not grow with the number of draws.
        """
        from bnnbench.core.ensemble import maths

        x, y = self._labelled(x, y)
        return maths.gradient(self, x, y, as_objective(objective), self.indices(draws))

    def direction(
        self, x: Tensor, y: Tensor, objective: Objective | str, draws: slice | Sequence[int] = slice(None)
    ) -> Tensor:
        """The gradient (N, *shape) of an objective up to a positive factor for each image, free of underflow.

        Where the network is so certain that the gradient underflows to zero, the direction does not. Attacks follow it.
        Arguments are as in `gradient`.
        """
        from bnnbench.core.ensemble import maths

        x, y = self._labelled(x, y)
        return maths.probe(self, x, y, as_objective(objective), self.indices(draws)).direction

    def _labelled(self, x: Any, y: Any) -> tuple[Tensor, Tensor]:
        """Inputs (N, *shape) and labels (N,) as tensors; the labels are those of classes that the predictive has."""
        from bnnbench.core.ensemble import batching

        x = tensor_of(x)
        classes = batching.footprint(self, x[:1].to(self.device, self.dtype)).classes if len(x) else None
        return x, labels(y, len(x), classes=classes)

    def as_module(self) -> nn.Module:
        """A torch module from inputs (N, *shape) to log predictive probabilities (N, K), for use in other libraries."""
        from torch import nn

        predictive = self

        class LogProbs(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return predictive.log_probs(x)

        return LogProbs().eval()

    def save(self, path: str | Path) -> None:
        """Write the draws as a safetensors file, which `bnnbench.load` reads.

        The box of the inputs and what the network's outputs are declared to be are written too. If the network was
        built by a registered `Network`, its name and parameters are written; otherwise `load` needs the network. Raises
        `TypeError` for a subclass that no registered posterior made, since it could not be loaded again, and
        `StoreError` if the file cannot be written.
        """
        from safetensors import SafetensorError

        if not isinstance(path, str | Path):
            raise TypeError(f"path is the path of a file, not {described(path)}")
        header = header_of(self.network, self.fitted_by, self.bounds)
        if type(self) is not Predictive and header["posterior"] is None:
            raise TypeError(f"no registered posterior made this {type(self).__name__}: it cannot be loaded again")
        lead = (self.chains, self.per_chain)
        arrays = {name: tensor.cpu().numpy().reshape(*lead, *tensor.shape[1:]) for name, tensor in self.draws.items()}
        try:
            write_draws(path, Draws(arrays, shared=self.shared, diagnostics=self.diagnostics), header)
        except (OSError, SafetensorError) as error:
            raise StoreError(f"{path} cannot be written: {one_line(str(error), 200)}") from error

    @property
    def runs_its_network(self) -> bool:
        """Whether the logits are those of the network under each draw's weights: False if `logits` is overridden."""
        return type(self).logits is Predictive.logits

    @property
    def described(self) -> str:
        """The name of the predictive in error messages."""
        kind = type(self)
        return "the predictive" if kind is Predictive else f"predictive {name_in_messages(kind)}"
