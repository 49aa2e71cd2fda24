"""JAX forms of torch's ATen operations that act on each number by itself, as `jax_aten_tables` describes such forms."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.scipy import special

from bnnbench.authoring import jax_layers as layers
from bnnbench.errors import Incompatible


def clamp(x: Array, low: Any = None, high: Any = None) -> Array:
    """x between two bounds. The derivative is 0 at bounds that are numbers, and 1/2 at those that are tensors."""
    for bound, nearer, outside in ((low, jnp.maximum, operator.le), (high, jnp.minimum, operator.ge)):
        if isinstance(bound, Array):
            x = nearer(x, bound)
        elif bound is not None:
            x = jnp.where(outside(x, bound), bound, x)
    return x


def hardsigmoid(x: Array) -> Array:
    """x / 6 + 1/2 between 0 and 1."""
    return clamp(x, -3.0, 3.0) / 6 + 0.5


def hardswish(x: Array) -> Array:
    """x times `hardsigmoid` of it."""
    return jnp.where(x <= -3, 0.0, jnp.where(x >= 3, x, x * (x / 6 + 0.5)))


def elu(x: Array, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Array:
    """scale * x where x is positive, alpha * scale * (exp(input_scale * x) - 1) elsewhere."""
    # Zeros replace the positive values, so that the branch that is not selected has a finite gradient.
    negative = jnp.expm1(jnp.where(x > 0, 0.0, x) * input_scale)
    return jnp.where(x > 0, scale * x, alpha * scale * negative)


def glu(x: Array, dim: int = -1) -> Array:
    """The first half of an axis times the sigmoid of the second."""
    value, gate = jnp.split(x, 2, dim)
    return value * jax.nn.sigmoid(gate)


def leaky_relu_with_noise(
    x: Array, noise: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None
) -> tuple[Array, Any]:
    """The output of `nn.RReLU` in eval mode, whose slope is the mean of its bounds, and the noise."""
    if training:
        raise Incompatible("no JAX form of rrelu that stays random in eval mode")
    return layers.leaky_relu(x, (lower + upper) / 2), noise


def divide(x: Any, other: Any, rounding_mode: str | None = None) -> Any:
    """x / other, rounded to the next lower integer ("floor"), towards zero ("trunc") or not at all (None)."""
    if rounding_mode == "floor":
        return jnp.floor_divide(x, other)
    return x / other if rounding_mode is None else jnp.trunc(x / other).astype(jnp.result_type(x, other))


def power(x: Any, exponent: Any) -> Any:
    """x to the power of an exponent. A whole number is multiplied out, so that negative x have a derivative."""
    if isinstance(exponent, float) and exponent.is_integer():
        exponent = int(exponent) if jnp.issubdtype(jnp.result_type(x), jnp.inexact) else exponent
    return x**exponent


def root(x: Array) -> Array:
    """The square root of numbers that are not negative, with the derivative 0 at 0, as torch has it in norms."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0 * x)


def absolute(x: Array) -> Array:
    """The absolute value, with the derivative 0 at 0, as torch has it."""
    return x * lax.stop_gradient(jnp.sign(x))


SAME_NAMES = (
    "ceil cos cosh exp exp2 expm1 floor isinf isnan log log10 log1p log2 round sign sin sinh sqrt tan tanh trunc fmod "
    "remainder maximum minimum hypot logaddexp floor_divide where logical_not logical_and logical_or logical_xor "
    "bitwise_not bitwise_and bitwise_or bitwise_xor"
)
"""Operations that have the same name and arguments in `jax.numpy`."""
FORMS: dict[str, Callable[..., Any]] = {
    **{name: getattr(jnp, name) for name in SAME_NAMES.split()},
    **{"a" + name: getattr(jnp, "arc" + name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")},
    "abs": absolute,
    "add": layers.add,
    "sub": layers.subtract,
    "rsub": lambda x, other, alpha=1: other - alpha * x,
    "mul": lambda x, other: x * other,
    "div": divide,
    "pow": power,
    "neg": lambda x: -x,
    "reciprocal": lambda x: 1 / x,
    "rsqrt": lax.rsqrt,
    "sgn": jnp.sign,
    "eq": lambda x, other: x == other,
    "ne": lambda x, other: x != other,
    "lt": lambda x, other: x < other,
    "le": lambda x, other: x <= other,
    "gt": lambda x, other: x > other,
    "ge": lambda x, other: x >= other,
    "masked_fill": lambda x, mask, value: jnp.where(mask, jnp.asarray(value, x.dtype), x),
    "clamp": clamp,
    "clamp_min": clamp,
    "clamp_max": lambda x, high: clamp(x, None, high),
    "erf": special.erf,
    "erfc": special.erfc,
    "erfinv": special.erfinv,
    "lgamma": special.gammaln,
    "digamma": special.digamma,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "elu": elu,
    "celu": lambda x, alpha=1.0: elu(x, alpha, 1.0, 1 / alpha),
    "gelu": lambda x, approximate="none": layers.gelu(x, approximate),
    "glu": glu,
    "hardsigmoid": hardsigmoid,
    "hardswish": hardswish,
    "hardtanh": lambda x, low=-1.0, high=1.0: clamp(x, low, high),
    "leaky_relu": lambda x, negative_slope=0.01: layers.leaky_relu(x, negative_slope),
    "log_sigmoid_forward": lambda x: (jax.nn.log_sigmoid(x), None),
    "mish": lambda x: x * jnp.tanh(jax.nn.softplus(x)),
    "rrelu_with_noise": leaky_relu_with_noise,
    "rrelu_with_noise_functional": leaky_relu_with_noise,
    "softplus": lambda x, beta=1.0, threshold=20.0: layers.softplus(x, beta, threshold),
}
