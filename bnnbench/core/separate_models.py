"""An ensemble of models that are not one network with several weights: other architectures, and plain functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bnnbench.core.draws import Draws
from bnnbench.core.given import tensor_of
from bnnbench.core.model_outputs import LogitsOf
from bnnbench.core.network_copy import copied
from bnnbench.core.predictive import Predictive
from bnnbench.core.same_architecture import is_scripted, tensors_of, weights_alone_differ
from bnnbench.errors import NetworkError
from bnnbench.plugins.described import counted

if TYPE_CHECKING:
    from torch import Tensor, nn

Model = Callable[[Any], Any]
"""A torch module, or a function from inputs (N, *shape) to scores (N, K)."""


class SeparateModels(Predictive):
    """An ensemble of S models, each of which is one draw.

    Modules are copied, put in eval mode and moved to the device of the first of them. A function is called without
    gradient, with a copy of the inputs: a float32 numpy array or, if it fails with that at its first call, a tensor on
    the CPU. If one of the models gives no gradient, the ensemble gives none.

    Args:
        models: modules and functions from inputs (N, *shape) to what `reading` reads.
        reading: turns what a model returns into logits, one for each model.
        diagnostics: those of the draws.
    """

    def __init__(
        self, models: Sequence[Model], reading: Sequence[LogitsOf], diagnostics: Mapping[str, Any] | None = None
    ) -> None:
        import torch
        from torch import nn

        modules = [_copyable(model) for model in models if isinstance(model, nn.Module)]
        types = [value.dtype for module in modules for value in module.parameters() if value.is_floating_point()]
        double = torch.float64 in types
        # Equal models have one number, by which the posterior card notices them.
        numbers = np.array([[_first_equal(models, place) for place in range(len(models))]], "f8" if double else "f4")
        super().__init__(nn.ModuleList(modules), Draws({"model": numbers}, diagnostics=diagnostics))
        copies = iter(cast(nn.ModuleList, self.network))
        self._models: list[Model] = [next(copies) if isinstance(model, nn.Module) else model for model in models]
        self._reading = list(reading)
        self._takes_tensors: dict[int, bool] = {}
        self.shared = {
            name: value for name, value in self.network.state_dict().items() if isinstance(value, torch.Tensor)
        }

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(reading.name for reading in self._reading))
        return f"SeparateModels({counted(len(self), 'draw')}, {names}, {self.device})"

    @property
    def described(self) -> str:
        """The name of the predictive in error messages."""
        return "the predictive"

    def member(self, index: int) -> nn.Module:
        """The module of one draw. Raises `TypeError` if the draw is a plain function."""
        from torch import nn

        model = self._models[index]
        if not isinstance(model, nn.Module):
            raise TypeError(f"draw {index} is a function, not a torch module")
        return model

    def logits(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        """Logits (S, N, K) of the selected models at inputs x (N, *shape), differentiable in x if all models are."""
        import torch

        x = tensor_of(x).to(self.device, self.dtype).contiguous()
        each = [self._logits_of(index, x) for index in self.indices(draws)]
        if len({values.shape for values in each}) > 1:
            numbers = ", ".join(str(values.shape[-1]) for values in each)
            raise NetworkError(f"the models of an ensemble give different numbers of classes: {numbers}")
        values = torch.stack(each)
        # The gradient of some models alone would be that of another ensemble.
        return values if all(one.requires_grad for one in each) else values.detach()

    def _logits_of(self, index: int, x: Tensor) -> Tensor:
        import torch
        from torch import nn

        model, reading = self._models[index], self._reading[index]
        if isinstance(model, nn.Module):
            return reading.logits(model(x.clone()), len(x)).to(self.device, self.dtype)
        with torch.no_grad():
            return reading.logits(self._called(index, model, x), len(x)).to(self.device, self.dtype)

    def _called(self, index: int, function: Model, x: Tensor) -> Any:
        """What a function returns for inputs x, as an array or a tensor: the form that it took at its first call."""

        def as_array() -> Any:
            return x.detach().numpy(force=True).copy()

        if index in self._takes_tensors:
            return function(x.detach().cpu().clone() if self._takes_tensors[index] else as_array())
        try:
            returned = function(as_array())
        except OSError:
            raise  # A server that does not answer says nothing of the form.
        except Exception as error:  # noqa: BLE001 - a function may raise anything
            try:
                returned = function(x.detach().cpu().clone())
            except Exception as second:
                # A function for tensors meets arrays with an error of type; any other tells more than the second does.
                if isinstance(error, TypeError | AttributeError):
                    raise second from error
                raise error from None
            self._takes_tensors[index] = True
            return returned
        self._takes_tensors[index] = False
        return returned


def _copyable(module: nn.Module) -> nn.Module:
    """The module itself or, if it is in TorchScript, a copy whose weights need no gradient.

    Copies of weights that need one would not be leaves of autograd's graph, and could not be frozen.
    """
    import torch

    with torch.no_grad():
        return copied(module) if is_scripted(module) else module


def _first_equal(models: Sequence[Model], place: int) -> int:
    """The position of the first model that equals the one at a position."""
    return next(number for number in range(place + 1) if _equal(models[number], models[place]))


def _equal(one: Model, other: Model) -> bool:
    import torch
    from torch import nn

    if one is other:
        return True
    if not isinstance(one, nn.Module) or not isinstance(other, nn.Module) or not weights_alone_differ(one, other):
        return False
    state, others_state = tensors_of(one) or {}, tensors_of(other) or {}
    return all(torch.equal(tensor, others_state[name]) for name, tensor in state.items())
