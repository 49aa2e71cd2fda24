"""Evaluate the draws of an ensemble in blocks, and pull gradients back through them.

A block of draws is evaluated in one of two ways. Draws are stacked, in one call of `vmap`, on a GPU, and on a CPU if
their activations are so small that Python would take most of the time. Otherwise a CPU evaluates one draw after
another, because stacked activations would not fit into its cache. Softmax, weights and autograd's overhead are paid
once for each block. Only the network's own forward is called; autograd gives the gradients.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from bnnbench.core import fixed_function
from bnnbench.core.ensemble.allocated import for_another_image
from bnnbench.core.ensemble.protocol import Ensemble, Footprint
from bnnbench.core.ensemble.watched import recorded
from bnnbench.core.network_copy import copied
from bnnbench.core.network_outputs import check_meaning, checked_logits, named
from bnnbench.core.standard_settings import standard_settings
from bnnbench.errors import ContractBreach, GradientRefused, NetworkError

TRIED = 4
"""The number of images on which a network is tried."""
MEASURED = 16
"""The largest number of draws whose memory is measured, if they are not one network with several weights."""
ONE_BY_ONE = 24 * 2**20
"""Largest size in bytes of the activations of a block of draws that are evaluated one after another."""
HELD = 72 * 2**20
"""Largest size in bytes of the activations of the blocks that are held at the same time on a CPU."""
HELD_ON_GPU = 2 * 2**30
"""The same on a GPU, whose kernels need more images at a time."""
STACKED = 16 * 2**20
"""Largest size in bytes of the activations of a stacked block on a CPU. They should fit into its cache."""
STACKED_ON_GPU = 2**30
"""Largest size in bytes of the activations of a stacked block on a GPU."""
CPU_SMALL = 2**20
"""Largest size in bytes of one draw's activations for which a CPU stacks draws: Python then takes most of the time."""

_SWAPPING = threading.RLock()
"""A lock that is held while `functional_call` replaces the weights of a network, which threads share."""

Pull = Callable[[Tensor, Tensor], None]
"""`pull(cotangent, total)` adds the gradient (N, *shape) of a sum of logits times cotangents (B, N, K) to the total."""


def footprint(ensemble: Ensemble, x: Tensor) -> Footprint:
    """The footprint of images of x's shape. It is measured at the first call for a shape, on images of its own.

    Raises `NetworkError` if the ensemble cannot be evaluated at such images or is no fixed function of each of them, or
    if the network returns probabilities that it has not declared.
    """
    shape = tuple(x.shape[1:])
    if shape not in ensemble.footprints:
        with standard_settings():  # Whoever asks first, it is the same.
            ensemble.footprints[shape] = _measured(ensemble, shape)
    return ensemble.footprints[shape]


def blocks(ensemble: Ensemble, x: Tensor, draws: Sequence[int]) -> list[list[int]]:
    """The draws, cut into blocks that are evaluated together at images x. It depends on shapes and the device alone."""
    budget = ONE_BY_ONE
    if _stacks(ensemble, x):
        budget = STACKED if x.device.type == "cpu" else STACKED_ON_GPU
    size = max(1, budget // (footprint(ensemble, x).activations * max(1, len(x))))
    return [list(draws[start : start + size]) for start in range(0, len(draws), size)]


def grouped(ensemble: Ensemble, x: Tensor, every: list[list[int]]) -> list[list[list[int]]]:
    """Blocks of draws in groups whose activations may be held at the same time."""
    block = footprint(ensemble, x).activations * max(1, len(x)) * max(map(len, every), default=1)
    size = max(1, largest_held(x.device) // block)
    return [every[start : start + size] for start in range(0, len(every), size)]


def largest_held(device: torch.device) -> int:
    """Largest size in bytes of the activations that are held at the same time on a device."""
    return HELD if device.type == "cpu" else HELD_ON_GPU


def logits(ensemble: Ensemble, x: Tensor, block: Sequence[int]) -> Tensor:
    """Logits (B, N, K) of a block of draws at images x (N, *shape), differentiable in x.

    The draws are stacked or evaluated one after another, as the module's docstring says.
    """
    if len(block) > 1 and _stacks(ensemble, x):
        return _stacked(ensemble, x, block)
    return own_logits(ensemble, x, block)


def own_logits(ensemble: Ensemble, x: Tensor, draws: Sequence[int]) -> Tensor:
    """Logits (S, N, K) by the ensemble's own method `logits`. Raises `ContractBreach` if they have another shape."""
    values = ensemble.logits(x, draws)
    if not isinstance(values, Tensor) or values.ndim != 3 or values.shape[:2] != (len(draws), len(x)):
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ContractBreach(
            f"{ensemble.described} gives logits of shape {shape}, not ({len(draws)} draws, {len(x)} inputs, classes)"
        )
    return values


def forward(ensemble: Ensemble, x: Tensor, block: Sequence[int]) -> tuple[Tensor, Pull]:
    """Logits (B, N, K) of a block of draws at images x (N, *shape), and a function that adds gradients to a total.

    The function `pull(cotangent, total)` pulls a cotangent (B, N, K) back to the images. It adds the gradient to
    `total` (N, *shape) in place and returns None. It can be called once. Raises `GradientRefused` if the logits do not
    depend on the images as far as autograd can tell.
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        values = logits(ensemble, x, block)

    if not values.requires_grad:
        raise GradientRefused(no_gradient(ensemble.described))

    def pull(cotangent: Tensor, total: Tensor) -> None:
        (slope,) = torch.autograd.grad(values, x, cotangent, allow_unused=True)
        if slope is None:
            raise GradientRefused(no_gradient(ensemble.described))
        total.add_(slope)

    return values.detach(), pull


def no_gradient(described: str) -> str:
    """The message that a predictive gives no gradient."""
    return (
        f"{described} gives no gradient, and one was asked for: attack it by scores alone or at random, or give it "
        "torch modules that can be differentiated, without torch.no_grad or detach in their forward"
    )


def _stacks(ensemble: Ensemble, x: Tensor) -> bool:
    """Whether the draws are stacked at images x."""
    cost = footprint(ensemble, x)
    return cost.stackable and (x.device.type != "cpu" or cost.activations * len(x) <= CPU_SMALL)


def _stacked(ensemble: Ensemble, x: Tensor, block: Sequence[int], network: nn.Module | None = None) -> Tensor:
    """Logits (B, N, K) of a block of draws, in one call of `vmap`. `network` may be a copy of the ensemble's."""
    network = network or ensemble.network
    first, last = block[0], block[-1] + 1
    # A contiguous range of draws is a view; any other selection is copied.
    selection = slice(first, last) if list(block) == list(range(first, last)) else list(block)
    weights = {name: tensor[selection] for name, tensor in ensemble.draws.items()}

    def logits_of_draw(draw: dict[str, Tensor], inputs: Tensor) -> Tensor:
        output = functional_call(network, {**ensemble.shared, **draw}, (inputs,))
        return checked_logits(output, network, len(inputs))

    with _SWAPPING:
        return vmap(logits_of_draw, in_dims=(0, None))(weights, x)


def _measured(ensemble: Ensemble, shape: tuple[int, ...]) -> Footprint:
    """The footprint of images of this shape, from the sizes of what autograd keeps and of all layers' outputs.

    Layers' outputs alone would leave out what functions and the insides of layers hold.
    """
    images = torch.linspace(0, 1, TRIED * math.prod(shape), dtype=ensemble.dtype, device=ensemble.device)
    images = images.view(TRIED, *shape)
    _try(ensemble, images)
    sizes: list[int] = []
    kept: dict[int, int] = {}

    def record_size(module: torch.nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel() * output.element_size())

    def record_kept(tensor: Tensor) -> Tensor:
        if not tensor.is_leaf:  # Weights are kept too, but take no more memory.
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    # An ensemble that overrides `logits` may run the network itself; others run a copy of it for each draw.
    network = ensemble.member(0) if ensemble.runs_its_network else ensemble.network
    measurable = [module for module in network.modules() if not isinstance(module, torch.jit.ScriptModule)]
    hooks = [module.register_forward_hook(record_size) for module in measurable]
    held = 0
    try:
        # The draws of other ensembles than networks over weights may differ in what they need.
        for draw in range(1 if ensemble.runs_its_network else min(len(ensemble), MEASURED)):
            sizes.clear()
            kept.clear()
            with torch.enable_grad(), recorded(record_kept):
                values = own_logits(ensemble, images[:1].requires_grad_(), [draw])
            sizes.append(values.shape[-1] * values.element_size())
            held = max(held, sum(sizes), sum(kept.values()))
    finally:
        for hook in hooks:
            hook.remove()
    if ensemble.runs_its_network:  # Models of a user's own may be slow, or cost money: no further call of them.
        held = max(held, for_another_image(lambda x: own_logits(ensemble, x, [0]), images) // 2)
    return Footprint(3 * held, values.shape[-1], _can_be_stacked(ensemble, images[:2].detach()))


def _try(ensemble: Ensemble, images: Tensor) -> None:
    """Raise `NetworkError` unless the first and the last draw are fixed functions from inputs to logits."""
    draws, network = sorted({0, len(ensemble) - 1}), ensemble.network
    own = ensemble.runs_its_network
    name = named(network) if own else ensemble.described
    values = fixed_function.values_at(
        images,
        lambda x: own_logits(ensemble, x, draws),
        name,
        ensemble.member(0) if own else None,
        # Models of a user's own may be evaluated anywhere, and kernels of a GPU may sum in another order at each call.
        exact=own and ensemble.device.type == "cpu",
    )
    if values.isnan().any(-1).all():
        raise NetworkError(f"{name} gives log-probabilities that are not finite: NaN at all inputs of a trial")
    if own and getattr(network, "bnnbench_reading", None) is None:
        check_meaning(values, None, name)


def _can_be_stacked(ensemble: Ensemble, images: Tensor) -> bool:
    """Whether `vmap` can evaluate several draws of the network at once, with the same logits."""
    if not ensemble.runs_its_network or len(ensemble) < 2:
        return False
    # What a network keeps from a stacked call, such as a table that it computes once, must not be used elsewhere.
    network = copied(ensemble.network)
    try:
        with warnings.catch_warnings():
            # torch warns if it has no batched form of an operation, and loops instead.
            warnings.simplefilter("error")
            with torch.no_grad():
                stacked = _stacked(ensemble, images, [0, 1], network)
                reversed_ = _stacked(ensemble, images, [1, 0], network)
        with torch.enable_grad():
            x = images.clone().requires_grad_()
            values = _stacked(ensemble, x, [0, 1], network).sum()
            if values.requires_grad:
                torch.autograd.grad(values, x, allow_unused=True)
    except Exception:  # noqa: BLE001 - a network may raise anything; its draws are then evaluated one by one
        return False
    with torch.no_grad():
        expected = ensemble.logits(images, [0, 1])
    largest = max(float((stacked - expected).abs().max()), float((reversed_.flip(0) - expected).abs().max()))
    return largest <= 1e-4 * float(expected.abs().max())
