"""The table of JAX forms of torch's ATen operations, into which every torch function is resolved when it runs.

A form takes the arguments of the operation's schema, without those that say where a tensor lies (device, layout). The
key is the operation's name, such as `mul`, or that of one overload, such as `max.dim`. Operations that are not in the
table are decomposed by torch into others where that is possible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bnnbench.authoring import jax_aten_images, jax_aten_pointwise, jax_aten_reductions, jax_aten_shapes

ATEN: dict[str, Callable[..., Any]] = {
    **jax_aten_pointwise.FORMS,
    **jax_aten_shapes.FORMS,
    **jax_aten_reductions.FORMS,
    **jax_aten_images.FORMS,
}
"""JAX forms of ATen operations: name -> function of the operation's arguments."""
REASONS: dict[str, str] = {
    **dict.fromkeys(
        ("bernoulli", "native_dropout", "rand", "rand_like", "randn", "randn_like", "randint", "normal", "uniform"),
        "it draws random numbers in eval mode, as dropout does that stays on",
    ),
    "_local_scalar_dense": "it takes a value out of torch, as `item` does",
    "nonzero": "the number of its results depends on the values of the inputs",
}
"""Why some operations have no JAX form: name -> reason."""


def form_of(operation: Any) -> Callable[..., Any] | None:
    """The JAX form of an ATen operation, an overload such as `torch.ops.aten.max.dim`. None if it has none."""
    name, overload = name_of(operation), operation._overloadname
    return ATEN.get(f"{name}.{overload}", ATEN.get(name))


def name_of(operation: Any) -> str:
    """The name of an ATen operation, such as `max`."""
    return str(operation._schema.name).partition("::")[2]
