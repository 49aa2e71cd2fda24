"""What a network returns: logits, or what can be turned into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import NetworkError, NotLogits

if TYPE_CHECKING:
    from torch import Tensor, nn

Outputs = Literal["logits", "probabilities", "log-probabilities"]
"""What the outputs of a network are."""
SUM = 1e-3
"""Largest distance from 1 of the sums of outputs at several images that are taken for probabilities."""
EXACT = 1e-5
"""The same at a single image, whose scores may happen to sum to about one; those of a softmax do to more digits."""
DECLARED = 0.02
"""The same for outputs that are declared to be probabilities or their logarithms, which may be in half precision."""


def named(network: nn.Module) -> str:
    """The name of a network in error messages."""
    return f"network {name_in_messages(type(network))}"


def checked_logits(output: Any, network: nn.Module, images: int) -> Tensor:
    """The output of a network at a number of images, if it is a tensor (images, K) of real numbers.

    bfloat16, which autocast gives and numpy does not have, becomes float32.

    Raises `NetworkError` for anything else, with what was returned and what was meant.
    """
    import torch
    from torch import Tensor

    if not isinstance(output, Tensor):
        raise NetworkError(
            f"{named(network)} returns {described_output(output)}, not one tensor of logits (images, classes)"
        )
    shape = tuple(output.shape)
    if output.ndim != 2 or shape[0] != images:
        hint = "; flatten its last dimensions" if output.ndim > 2 and shape[:1] == (images,) else ""
        if shape == (images,):
            hint = "; a network for binary cross-entropy needs a second output, such as a constant zero"
        raise NetworkError(
            f"{named(network)} returns a tensor of shape {shape} for {images} inputs, not logits ({images}, classes)"
            f"{hint}"
        )
    if not output.is_floating_point():
        raise NetworkError(f"{named(network)} returns {output.dtype}, not logits, which are real numbers")
    return output.float() if output.dtype == torch.bfloat16 else output


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
    if not values.numel() or not bool((values >= 0).all()):
        return False
    return _largest_distance_from_one(values) <= (SUM if values[..., 0].numel() > 1 else EXACT)


def check_meaning(values: Tensor, outputs: Outputs | None, name: str) -> None:
    """Raise `NetworkError`, with `name` for the culprit, unless outputs (..., K) can be what they are declared to be.

    Without a declaration, None, they are logits and must not be probabilities: taken for logits, these would be
    squeezed between 0 and 1, and attacks on them would be weak. Declared logits are not looked at.
    """
    if outputs == "logits":
        return
    values = values.detach().double()
    if outputs != "probabilities" and are_probabilities(values):
        if outputs is None:
            raise NotLogits(
                f"{name} returns probabilities, not logits: leave out its softmax, or declare outputs='probabilities' "
                "(`outputs: probabilities` in a benchmarks file)"
            )
        raise NetworkError(
            f"{name} returns probabilities, not log-probabilities, as outputs='{outputs}' says: declare "
            "outputs='probabilities'"
        )
    if outputs == "probabilities" and not (
        bool((values >= 0).all()) and _largest_distance_from_one(values) <= DECLARED
    ):
        raise NetworkError(
            f"{name} does not return probabilities, as outputs='probabilities' says: they lie in "
            f"[{float(values.min()):.3g}, {float(values.max()):.3g}], and the first sum up to "
            f"{float(values.flatten(0, -2)[0].sum()):.3g}"
        )
    if outputs == "log-probabilities" and _largest_distance_from_one(values.exp()) > DECLARED:
        raise NetworkError(
            f"{name} does not return log-probabilities, as outputs='log-probabilities' says: the exponentials of the "
            f"first sum up to {float(values.flatten(0, -2)[0].exp().sum()):.3g}, not to 1; logits need no declaration"
        )


def _largest_distance_from_one(values: Tensor) -> float:
    """The largest distance from 1 of the sum of values (..., K) of an image; those that are NaN are left out."""
    return float((values.sum(-1) - 1).abs().nan_to_num(nan=0.0).max())


def as_logits(values: Tensor, outputs: Outputs | None) -> Tensor:
    """Logits (..., K) from the outputs of a network, which are what `outputs` says.

    Log-probabilities are logits already. Probabilities are clamped at the smallest positive number before the logarithm
    is taken.
    """
    import torch

    if outputs != "probabilities":
        return values
    return values.clamp_min(torch.finfo(values.dtype).tiny).log()


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
