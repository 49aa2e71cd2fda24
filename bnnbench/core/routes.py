"""How the draws of an ensemble are evaluated and differentiated: one after another, or stacked.

Draws are looked at in blocks, so that what is done with their few logits, and autograd's own work, is done once for
many. Within a block a CPU goes draw by draw, since stacked activations leave its cache, unless they are so small that
it spends its time on Python; a GPU takes the block at once. Either way all that is asked of a network is its own
forward, and autograd does the rest.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from bnnbench.core.predictive import Predictive, name_of
from bnnbench.errors import ContractBreach

ONE_BY_ONE = 24 * 2**20
STACKED = 16 * 2**20
STACKED_ON_GPU = 2**30
"""Bytes that the activations of the draws of one block may take, by the route of the block. What is stacked should stay
in a CPU's cache; where draws follow each other each has the cache for itself."""
CPU_SMALL = 2**20
"""Bytes of one draw's activations below which a CPU spends its time on Python, not on numbers."""

_SWAPPING = threading.RLock()
"""Held while a network has other weights in the place of its own."""

Pull = Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class Footprint:
    """What one image costs one draw: bytes of activations, their gradients and what a layer needs beside them; the
    number of classes; and whether several draws can be evaluated at once."""

    activations: int
    classes: int
    stackable: bool


def footprint(predictive: Predictive, x: Tensor) -> Footprint:
    """The footprint of images of x's shape, found once by a trial on one of them."""
    shape = tuple(x.shape[1:])
    if shape not in predictive.footprints:
        with torch.no_grad():
            predictive.footprints[shape] = _measured(predictive, x[:1])
    return predictive.footprints[shape]


def blocks(predictive: Predictive, x: Tensor, draws: Sequence[int]) -> list[list[int]]:
    """The draws, cut into what is looked at together on these images; it depends on shapes and the device alone."""
    budget = ONE_BY_ONE
    if _stacks(predictive, x):
        budget = STACKED if x.device.type == "cpu" else STACKED_ON_GPU
    together = max(1, budget // (footprint(predictive, x).activations * len(x)))
    return [list(draws[start : start + together]) for start in range(0, len(draws), together)]


def logits(predictive: Predictive, x: Tensor, block: Sequence[int]) -> Tensor:
    """Logits (B, N, K) of a block of draws, differentiable in x: all at once where that is faster."""
    if len(block) > 1 and _stacks(predictive, x):
        return _stacked(predictive, x, block)
    return own_logits(predictive, x, block)


def own_logits(predictive: Predictive, x: Tensor, draws: Sequence[int]) -> Tensor:
    """What `predictive.logits` says; raises `ContractBreach` unless these are logits (S, N, K)."""
    found = predictive.logits(x, draws)
    if not isinstance(found, Tensor) or found.ndim != 3 or found.shape[:2] != (len(draws), len(x)):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ContractBreach(
            f"{name_of(predictive)} gives logits of shape {shape}, not ({len(draws)} draws, {len(x)} inputs, classes)"
        )
    return found


def forward(predictive: Predictive, x: Tensor, block: Sequence[int]) -> tuple[Tensor, Pull]:
    """Logits (B, N, K) of a block of draws, and what pulls a cotangent (B, N, K) back to the inputs and adds the
    result (N, *shape) to a total."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        found = logits(predictive, x, block)

    def pull(cotangent: Tensor, total: Tensor) -> None:
        total.add_(torch.autograd.grad(found, x, cotangent)[0])

    return found.detach(), pull


def _stacks(predictive: Predictive, x: Tensor) -> bool:
    found = footprint(predictive, x)
    return found.stackable and (x.device.type != "cpu" or found.activations * len(x) <= CPU_SMALL)


def _stacked(predictive: Predictive, x: Tensor, block: Sequence[int]) -> Tensor:
    first, last = block[0], block[-1] + 1
    # A run of neighbours is a view; any other choice of draws is copied.
    chosen = slice(first, last) if list(block) == list(range(first, last)) else list(block)
    weights = {name: tensor[chosen] for name, tensor in predictive.draws.items()}

    def one(own: dict[str, Tensor], inputs: Tensor) -> Tensor:
        output: Tensor = functional_call(predictive.network, {**predictive.shared, **own}, (inputs,))
        return output

    with _SWAPPING:
        return vmap(one, in_dims=(0, None))(weights, x)


def _measured(predictive: Predictive, image: Tensor) -> Footprint:
    sizes: list[int] = []

    def note(module: torch.nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel())

    # A predictive with logits of its own may run the network itself; the others run a copy of it for each draw.
    own = type(predictive).logits is not Predictive.logits
    network = predictive.network if own else predictive.member(0)
    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        classes = own_logits(predictive, image, [0]).shape[-1]
        sizes.append(classes)
    finally:
        for hook in hooks:
            hook.remove()
    return Footprint(3 * sum(sizes) * image.element_size(), classes, _can_be_stacked(predictive, image))


def _can_be_stacked(predictive: Predictive, image: Tensor) -> bool:
    """Whether the network runs over several draws at once, and says the same."""
    if type(predictive).logits is not Predictive.logits or len(predictive) < 2:
        return False
    block = [0, 1]
    with warnings.catch_warnings():
        # torch warns where it has no batched form of an operation and loops instead.
        warnings.simplefilter("error")
        try:
            found = _stacked(predictive, image, block)
        except Exception:  # noqa: BLE001 - a network of the user's own may raise anything; it then runs draw by draw
            return False
    expected = predictive.logits(image, block)
    return bool((found - expected).abs().max() <= 1e-4 * expected.abs().max())
