"""A trial of a network on two inputs, before anything is fitted: what it returns, and that it is a fixed function."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from bnnbench.core.network import initialise
from bnnbench.core.network_copy import in_eval_mode
from bnnbench.core.network_outputs import check_classes, check_no_probabilities, checked_logits, named
from bnnbench.core.standard_settings import standard_settings
from bnnbench.errors import NetworkError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench.core.dataset import Data

MIXED = 1e-3
"""Largest relative change of an output, when another image joins the batch, that counts as rounding."""


def check_network(network: nn.Module, data: Data) -> None:
    """Raise `NetworkError` unless a copy of the network with fresh weights is a fixed function from inputs to logits.

    It is called in eval mode on two training inputs (test inputs if there are none for training). It must return one
    tensor of finite logits (images, K), K not below the number of classes. The logits of an image must be the same in
    every call and in every batch. The inputs must stay as they are.
    """
    import torch

    x = (data.train or data.test)[0][:2]
    with standard_settings(), torch.no_grad():
        trial = in_eval_mode(initialise(network, 0))
        first = next(trial.parameters(), None)
        if first is not None:
            x = x.to(first.device, first.dtype if first.is_floating_point() else None)
        x = x.contiguous()
        given = x.clone()
        values = _called(trial, given, 0)
        if not torch.equal(given, x):
            raise NetworkError(f"{named(network)} writes into its inputs: remove what works in place on them")
        check_classes(values.shape[-1], data.classes, network)
        if not values.isfinite().all():
            raise NetworkError(f"{named(network)} returns values that are not finite, with fresh weights")
        again = _called(trial, x.clone(), 1)
        # Kernels of a GPU may sum in another order at each call.
        rounding = 0.0 if x.device.type == "cpu" else MIXED
        if not torch.allclose(values, again, rtol=rounding, atol=rounding * float(values.abs().max())):
            raise NetworkError(
                f"{named(network)} draws random numbers in eval mode: each draw of a posterior must be a fixed "
                "function; let dropout and noise act in training mode alone (training=self.training)"
            )
        alone = _called(trial, x[:1].clone(), 0)
        if not torch.allclose(alone, values[:1], rtol=MIXED, atol=MIXED * float(values.abs().max())):
            raise NetworkError(
                f"{named(network)} predicts otherwise for an image alone than in a batch: it must not mix images"
            )
        if not getattr(network, "bnnbench_outputs", None):
            check_no_probabilities(values, network)


def _called(network: nn.Module, x: Tensor, seed: int) -> Tensor:
    """The network's logits at inputs x, with torch's generators seeded. Raises `NetworkError` if it fails."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        try:
            output: Any = network(x)
        except Exception as error:
            raise not_evaluated(named(network), x, error) from error
    return checked_logits(output, network, len(x))


def not_evaluated(name: str, x: Tensor, error: Exception) -> NetworkError:
    """The error that a network or predictive of some name cannot be evaluated at inputs x, on one line with a hint."""
    reason = str(error).partition("\n")[0] or "no text"
    return NetworkError(
        f"{name} cannot be evaluated at inputs of shape {tuple(x.shape)}: {type(error).__name__}: "
        f"{reason}{_hint(x, reason)}"
    )


def _hint(x: Tensor, reason: str) -> str:
    """What may be the cause of an error about shapes."""
    if found := re.search(r"mat1 and mat2 shapes cannot be multiplied \(\d+x\d+ and (\d+)x\d+\)", reason):
        wanted, values = int(found[1]), math.prod(x.shape[1:])
        if x.ndim > 2 and wanted == values:
            return "; images must be flattened before a linear layer, as by nn.Flatten()"
        return f"; a linear layer takes {wanted} values, one input has {values}"
    if x.ndim == 4 and x.shape[1] > 4 >= x.shape[3] and "channels" in reason:
        return "; the images have their channels last, torch expects (N, channels, height, width)"
    return ""
