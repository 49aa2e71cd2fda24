"""Start a fit from the template of a network, and keep its buffers with the draws.

A posterior is given a template: a network whose weights must be neither used nor changed. For example:

    def fit(self, network, data, *, seed, progress):
        trained = fresh_network(network, seed)
        ...
        arrays = {name: weight[None, None] for name, weight in trained.named_parameters()}
        return Draws(arrays, shared=kept_buffers(trained))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench.core.fixed_function import not_evaluated
from bnnbench.core.network import initialise
from bnnbench.core.network_copy import copied, in_eval_mode, in_train_mode
from bnnbench.core.network_outputs import checked_logits, named
from bnnbench.errors import Incompatible, NetworkError

if TYPE_CHECKING:
    from torch import Tensor, nn


def fresh_network(template: nn.Module, seed: int, *, keep_buffers: bool = False) -> nn.Module:
    """A copy of the template in eval mode, in float32, with weights and buffers drawn anew from the seed (uint32).

    With `keep_buffers` its persistent buffers are those of the template, as a method needs that gathers no statistics.
    All parameters have `requires_grad=True`. Raises `Incompatible` if the template has no parameters.
    """
    network = in_eval_mode(initialise(copied(template).float(), seed)).requires_grad_(True)
    if next(network.parameters(), None) is None:
        raise Incompatible("the network has no parameters to fit")
    if keep_buffers:
        kept = kept_buffers(template)
        for name, buffer in kept_buffers(network).items():
            buffer.copy_(kept[name])
    return network


def check_gradient(network: nn.Module, x: Tensor, *, training: bool = False) -> None:
    """Raise `NetworkError` unless the network's logits at inputs x (N, *shape) have a gradient in its weights.

    A copy of the network is called, in train mode if `training` is True. Inputs of two points are enough. A fit that
    follows this gradient calls it first: networks may return something else in train mode, or detach what they compute.
    """
    import torch

    trial = copied(network)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), torch.enable_grad():
        torch.manual_seed(0)
        if training:
            in_train_mode(trial)
        try:
            values = checked_logits(trial(x.clone()), network, len(x))
        except NetworkError as error:
            raise NetworkError(f"{error}; this is in training mode") if training else error from error
        except Exception as error:
            raise not_evaluated(named(network), x, error) from error
        slopes = (
            torch.autograd.grad(values.sum(), list(trial.parameters()), allow_unused=True)
            if values.requires_grad
            else ()
        )
    if all(slope is None for slope in slopes):
        raise NetworkError(
            f"{named(network)} gives no gradient in its weights, which this fit needs: there must be no detach, "
            "no_grad or numpy in its forward"
        )


def kept_buffers(network: nn.Module) -> dict[str, Tensor]:
    """The persistent buffers of a network by their `state_dict` names, such as the statistics of batch norm.

    They are the `shared` arrays of the `Draws` of its weights.
    """
    state = network.state_dict()
    return {name: buffer for name, buffer in network.named_buffers() if name in state}
