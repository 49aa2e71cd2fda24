"""The predictive of a network that is linear in its weights around their mode."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call, jvp, vmap

from bnnbench import Draws, Predictive

if TYPE_CHECKING:
    from torch import Tensor

_MODE = "mode."
"""What precedes the names of the weights of the mode among the shared arrays."""
_SWAPPING = threading.RLock()
"""A lock that is held while `functional_call` replaces the weights of a network, which threads share."""


def with_mode(draws: Draws, mode: Mapping[str, Tensor]) -> Draws:
    """The draws with the weights of the mode among the shared arrays, as `Linearised` needs them."""
    shared = draws.shared | {_MODE + name: weight for name, weight in mode.items()}
    return Draws(draws.arrays, shared=shared, diagnostics=draws.diagnostics)


class Linearised(Predictive):
    """An ensemble of the functions f(x, w*) + J(x) (w - w*), with the mode w* and J = df / dw there, for draws w.

    The precision of a Laplace approximation is that of this model (Khan et al. 2019; Immer et al. 2021). The functions
    are differentiable in x. The draws of an ensemble of such fits have a mode each.
    """

    def logits(self, x: Tensor, draws: slice | Sequence[int] = slice(None)) -> Tensor:
        """Logits (S, N, K) of the selected draws at inputs x (N, *shape), differentiable in x."""
        x = torch.as_tensor(x).to(self.device, self.dtype).contiguous()
        chosen = self.indices(draws)
        own = {name: tensor[chosen] for name, tensor in self.draws.items()}

        def of_draw(own: dict[str, Tensor]) -> Tensor:
            every = self.shared | own
            mode = {name.removeprefix(_MODE): tensor for name, tensor in every.items() if name.startswith(_MODE)}
            buffers = {name: every[name] for name in every.keys() - mode.keys() if not name.startswith(_MODE)}
            step = {name: every[name] - tensor for name, tensor in mode.items()}

            def values(weights: dict[str, Tensor]) -> Tensor:
                return functional_call(self.network, buffers | weights, (x,))

            at_mode, change = jvp(values, (mode,), (step,))[:2]
            return at_mode + change

        with _SWAPPING, warnings.catch_warnings():
            # torch warns of its own code when it first loads forward derivatives.
            warnings.filterwarnings("ignore", ".*torch.jit.script", FutureWarning)
            return vmap(of_draw)(own)
