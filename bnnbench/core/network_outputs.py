"""What a network returns: logits, or what can be turned into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from bnnbench.core.local_modules import name_in_messages
from bnnbench.errors import NetworkError

if TYPE_CHECKING:
    from torch import Tensor, nn

Outputs = Literal["logits", "probabilities", "log-probabilities"]
"""What the outputs of a network are."""
SUM = 1e-3
"""Largest distance from 1 of the sum of outputs that are taken for probabilities."""


def named(network: nn.Module) -> str:
    """The name of a network in error messages."""
    return f"network {name_in_messages(type(network))}"


def checked_logits(output: Any, network: nn.Module, images: int) -> Tensor:
    """The output of a network at a number of images, if it is a tensor (images, K) of real numbers.

    Raises `NetworkError` for anything else, with what was returned and what was meant.
    """
    from torch import Tensor

    if not isinstance(output, Tensor):
        raise NetworkError(
            f"{named(network)} returns {described_output(output)}, not one tensor of logits (images, classes)"
        )
    shape = tuple(output.shape)
    if output.ndim != 2 or shape[0] != images:
        hint = "; flatten its last dimensions" if output.ndim > 2 and shape[:1] == (images,) else ""
        raise NetworkError(
            f"{named(network)} returns a tensor of shape {shape} for {images} inputs, not logits ({images}, classes)"
            f"{hint}"
        )
    if not output.is_floating_point():
        raise NetworkError(f"{named(network)} returns {output.dtype}, not logits, which are real numbers")
    return output


def check_classes(outputs: int, classes: int, network: nn.Module) -> None:
    """Raise `NetworkError` if a network has fewer outputs than the data have classes."""
    if outputs < classes:
        hint = ""
        if outputs == 1 and classes == 2:
            hint = "; a network for binary cross-entropy needs a second output, such as a constant zero"
        raise NetworkError(
            f"{named(network)} has {outputs} output{'s' if outputs > 1 else ''}, but the data have {classes} "
            f"classes{hint}"
        )


def are_probabilities(values: Tensor) -> bool:
    """Whether outputs (..., K) are probabilities: none is negative, and those of each image sum to one."""
    values = values.detach().double()
    return bool(values.numel()) and bool((values >= 0).all()) and bool(((values.sum(-1) - 1).abs() <= SUM).all())


def check_no_probabilities(values: Tensor, network: nn.Module) -> None:
    """Raise `NetworkError` if outputs (..., K) are probabilities although the network did not declare them.

    Taken for logits, they would be squeezed between 0 and 1, and attacks on them would be weak.
    """
    if are_probabilities(values):
        raise NetworkError(
            f"{named(network)} returns probabilities, not logits: leave out its softmax, or declare "
            "`outputs: probabilities`"
        )


def as_logits(values: Tensor, outputs: Outputs) -> Tensor:
    """Logits (..., K) from the outputs of a network, which are what `outputs` says.

    Log-probabilities are logits already. Probabilities are clamped at the smallest positive number before the logarithm
    is taken.
    """
    import torch

    if outputs != "probabilities":
        return values
    return values.clamp_min(torch.finfo(values.dtype).tiny).log()


def with_outputs(network: nn.Module, outputs: Outputs | None) -> nn.Module:
    """The network itself, changed so that it returns logits whatever its outputs are; None leaves it as it is.

    The declaration is kept as its attribute `bnnbench_outputs`.
    """
    if outputs is None or getattr(network, "bnnbench_outputs", None) == outputs:
        return network
    if outputs not in get_args(Outputs):
        raise ValueError(f"outputs is {outputs!r}, not one of {', '.join(get_args(Outputs))}")
    network.bnnbench_outputs = outputs  # type: ignore[assignment]
    if outputs == "probabilities":
        network.register_forward_hook(logarithm)
    return network


def logarithm(network: nn.Module, inputs: Any, output: Any) -> Any:
    """The forward hook of networks that return probabilities: the logits that stand for them."""
    from torch import Tensor

    return as_logits(output, "probabilities") if isinstance(output, Tensor) else output


def described_output(output: Any) -> str:
    """The description in messages of an output that is not a tensor."""
    kind = type(output).__name__
    if isinstance(output, Mapping):
        return f"a {kind} with {', '.join(map(str, output)) or 'nothing'}"
    if isinstance(output, tuple | list):
        return f"a {kind} of {len(output)} ({', '.join(_shape(part) for part in output[:4])})"
    return "nothing" if output is None else f"an object of class {kind}"


def _shape(part: Any) -> str:
    shape = getattr(part, "shape", None)
    return type(part).__name__ if shape is None else f"{type(part).__name__} {tuple(shape)}"
