"""A trial of a network on two inputs, before anything is fitted: what it returns, and that it is a fixed function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench.core.fixed_function import values_at
from bnnbench.core.network import initialise
from bnnbench.core.network_copy import in_eval_mode
from bnnbench.core.network_outputs import check_classes, check_meaning, checked_logits, named
from bnnbench.core.standard_settings import standard_settings
from bnnbench.errors import NetworkError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench.core.dataset import Data


def check_network(network: nn.Module, data: Data) -> None:
    """Raise `NetworkError` unless a copy of the network with fresh weights is a fixed function from inputs to logits.

    It is called in eval mode on two training inputs (test inputs if there are none for training). It must return one
    tensor of finite logits (images, K), K not below the number of classes. The logits of an image must be the same in
    every call and in every batch. The inputs must stay as they are. Its weights must be real numbers that Python can
    replace.
    """
    _check_weights(network)
    x = (data.train or data.test)[0][:2]
    with standard_settings():
        trial = in_eval_mode(initialise(network, 0))
        first = next(trial.parameters(), None)
        if first is not None:
            x = x.to(first.device, first.dtype if first.is_floating_point() else None)

        def logits(x: Tensor) -> Tensor:
            return checked_logits(trial(x), network, len(x))

        # Kernels of a GPU may sum in another order at each call.
        values = values_at(x.contiguous(), logits, named(network), trial, exact=x.device.type == "cpu")
    check_classes(values.shape[-1], data.classes, network)
    if not values.isfinite().all():
        raise NetworkError(f"{named(network)} returns values that are not finite, with fresh weights")
    if getattr(network, "bnnbench_reading", None) is None:
        check_meaning(values, None, named(network))


def _check_weights(network: nn.Module) -> None:
    """Raise `NetworkError` for weights that no posterior can draw: those of TorchScript, and no real numbers."""
    from bnnbench.core.same_architecture import is_scripted

    if is_scripted(network):
        raise NetworkError(
            f"{named(network)} is, or has a part, in TorchScript, whose weights cannot be replaced: give the module "
            "that it was made from"
        )
    for name, weight in network.named_parameters():
        if not weight.is_floating_point():
            raise NetworkError(
                f"{named(network)} has a weight '{name}' of {weight.dtype}: weights are real numbers; split complex "
                "ones into two, and make integers a buffer"
            )
