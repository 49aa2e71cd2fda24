"""A trial of a network or predictive on a few inputs: whether it is a fixed function of each image."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from bnnbench.core.changes import RANDOM, put_back
from bnnbench.errors import BnnbenchError, NetworkError, NotRepeatable

if TYPE_CHECKING:
    from torch import Tensor, nn

MIXED = 1e-3
"""Largest relative change of an output, when another image joins the batch, that counts as rounding."""


def values_at(
    x: Tensor, function: Callable[[Tensor], Tensor], name: str, network: nn.Module | None = None, *, exact: bool
) -> Tensor:
    """The values (..., N, K) of a function at inputs x (N, *shape), computed without gradient.

    Raises `NetworkError`, with `name` for the culprit, unless

    - it can be called at such inputs;
    - it changes neither its inputs, nor the weights and buffers of `network`, nor a setting of the process;
    - a second call gives the same values, to the bit if `exact`, and no random numbers are drawn;
    - the values of an image alone are those that it has in the batch.
    """
    import torch

    tensors = _tensors(network)
    with torch.no_grad():
        given = x.clone()
        values = _called(function, given, name)
        if given._version or not torch.equal(given, x):
            raise NetworkError(f"{name} writes into its inputs: remove what works in place on them")
        again = _called(function, x.clone(), name)
        for key, (value, count) in _tensors(network).items():
            if key not in tensors or value is not tensors[key][0] or count != tensors[key][1]:
                raise NetworkError(
                    f"{name} changes its weight or buffer '{key}' in eval mode: let it do so in training mode alone "
                    "(if self.training)"
                )
        if not _same(again, values, 0.0 if exact else rounding(values)):
            raise NotRepeatable(
                f"{name} gives other outputs when it is called again: each draw of a posterior must be a fixed "
                "function, without random numbers and without anything kept from call to call"
            )
        for place in {0, len(x) - 1}:
            alone = _called(function, x[place : place + 1].clone(), name)
            check_alone(alone, values[..., place : place + 1, :], name, rounding(values), values)
    return values


def check_alone(alone: Tensor, together: Tensor, name: str, share: float, scale: Tensor) -> None:
    """Raise `NetworkError` unless the values of images alone (..., N, K) are those that they have in a batch.

    They may differ by a share of the largest of `scale`, because products of another size may be rounded differently.
    """
    if not _same(alone, together, share, scale):
        raise NetworkError(
            f"{name} predicts otherwise for an image alone than in a batch: it must not mix images, as batch norm "
            "without running statistics does, or a recurrent layer without batch_first=True"
        )


def _called(function: Callable[[Tensor], Tensor], x: Tensor, name: str) -> Tensor:
    """The values of the function at inputs x. Raises `NetworkError` if it fails or does what no network may do."""
    with put_back() as changed:
        try:
            values = function(x)
        except (BnnbenchError, OSError):  # A server that does not answer is no fault of the function.
            raise
        except Exception as error:
            raise not_evaluated(name, x, error) from error
    if any(what.startswith(RANDOM) for what in changed):
        raise NotRepeatable(
            f"{name} draws random numbers in eval mode: each draw of a posterior must be a fixed "
            "function; let dropout and noise act in training mode alone (training=self.training)"
        )
    if changed:
        raise NetworkError(f"{name} changes {', '.join(changed)} when it is called, for the whole process")
    return values


def _tensors(network: nn.Module | None) -> dict[str, tuple[Tensor, int]]:
    """The weights and buffers of a network, each with torch's count of its changes."""
    named = [*network.named_parameters(), *network.named_buffers()] if network else []
    return {name: (value, 0 if value.is_inference() else value._version) for name, value in named}


def rounding(values: Tensor) -> float:
    """The share of the largest value by which rounding may change others: more in half precision, inside of it too."""
    import torch

    half = torch.equal(values, values.bfloat16().to(values.dtype))
    return max(MIXED, 8 * torch.finfo(torch.bfloat16 if half else values.dtype).eps)


def _same(one: Tensor, other: Tensor, share: float, scale: Tensor | None = None) -> bool:
    """Whether two values are equal up to a share of the largest of `scale`, by default that of the second."""
    import torch

    if one.shape != other.shape:
        return False
    largest = (other if scale is None else scale).nan_to_num(posinf=0, neginf=0).abs()
    slack = share * float(largest.max()) if largest.numel() else 0.0
    return torch.allclose(one, other, rtol=share, atol=slack, equal_nan=True)


def not_evaluated(name: str, x: Tensor, error: Exception) -> NetworkError:
    """The error that a network or predictive of some name cannot be evaluated at inputs x, on one line with a hint."""
    reason = str(error).partition("\n")[0] or "no text"
    return NetworkError(
        f"{name} cannot be evaluated at inputs of shape {tuple(x.shape)}: {type(error).__name__}: "
        f"{reason}{_hint(x, reason)}"
    )


def _hint(x: Tensor, reason: str) -> str:
    """What may be the cause of an error about shapes."""
    if found := re.search(r"mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)", reason):
        got, wanted = map(int, found.groups())
        if x.ndim > 2 and wanted == math.prod(x.shape[1:]):
            return "; images must be flattened before a linear layer, as by nn.Flatten()"
        return f"; a linear layer takes {wanted} values, and got {got}"
    if x.ndim == 4 and x.shape[1] > 4 >= x.shape[3] and "channels" in reason:
        return "; the images have their channels last, torch expects (N, channels, height, width)"
    if "same dtype" in reason:
        return "; weights and inputs have one precision, float32 in a fit: the network must not mix others in"
    if "more than 1 value per channel when training" in reason:
        return "; batch norm with track_running_stats=False takes its statistics from the batch, in eval mode too"
    return ""
