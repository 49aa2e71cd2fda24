"""What public functions are given, in the form that the core uses: inputs as tensors, radii and threats as threats."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bnnbench.core import arguments
from bnnbench.core.threat import Threat
from bnnbench.plugins.described import described

if TYPE_CHECKING:
    from torch import Tensor


def as_inputs(value: Any, *, argument: str = "inputs") -> Tensor:
    """Inputs (N, *shape) as a tensor of floats, detached. Integers and booleans become float32, floats stay.

    Tensors, arrays of numpy and JAX, and nested lists of numbers are taken. Raises `TypeError` for anything else, and
    for complex numbers; `ValueError` for a single input without the leading axis.
    """
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        x = dense(value, argument)
    else:
        refuse_masked(value, argument)
        try:
            array = np.asarray(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{argument} are an array (N, *shape) of numbers, not {described(value)}") from error
        if array.dtype.kind not in "biuf" or isinstance(value, str | bytes):
            raise TypeError(f"{argument} are an array (N, *shape) of numbers, not {described(value)}")
        if array.dtype.kind == "u":
            array = array.astype(np.float32)  # torch has few unsigned types.
        elif array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(np.float64).itemsize:
            array = array.astype(np.float64)
        x = torch.from_numpy(np.array(array, array.dtype.newbyteorder("=")))
    if x.is_complex():
        raise TypeError(f"{argument} are real numbers, not {x.dtype}")
    if x.ndim < 2 or x.numel() == 0:
        found = f"{argument} of shape {tuple(x.shape)}: (N, *shape) with N >= 1 is meant"
        raise ValueError(f"{found}{', also for a single input' * (x.ndim < 2)}")
    return x if x.is_floating_point() else x.to(torch.float32)


def dense(value: Tensor, argument: str) -> Tensor:
    """A tensor without its graph, whose numbers lie side by side: sparse and quantised ones are expanded.

    `argument` is its name in messages, in the plural. Raises `TypeError` for a tensor that holds no numbers, on the
    device `meta`, and for a nested one.
    """
    import torch

    value = value.detach()
    if value.is_meta:
        raise TypeError(f"{argument} are on the device 'meta', which holds no numbers")
    if value.is_nested:
        raise TypeError(f"{argument} do not all have one shape")
    value = value.dequantize() if value.is_quantized else value
    return value if value.layout == torch.strided else value.to_dense()


def refuse_masked(value: Any, argument: str) -> None:
    """Raise `TypeError` for an array of numpy with masked values, which would count as numbers."""
    import numpy as np

    if np.ma.is_masked(value):
        raise TypeError(f"{argument} have masked values, which are no numbers: leave these inputs out")


def tensor_of(value: Any) -> Tensor:
    """Inputs as a tensor of floats: one that is given is returned as it is, with its graph; others as `as_inputs`."""
    import torch

    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.ndim < 2 or value.is_meta:
        return as_inputs(value)
    return value if value.layout == torch.strided else dense(value, "inputs")


def like(given: Any, made: Tensor) -> Any:
    """A tensor in the form of what was given: a tensor for a tensor, a numpy array for anything else."""
    import torch

    return made if isinstance(given, torch.Tensor) else made.numpy(force=True)


def is_several(value: Any) -> bool:
    """Whether a value is a list, a tuple or an array of values, not a single one."""
    return not isinstance(value, str | bytes | dict) and hasattr(value, "__iter__") and getattr(value, "shape", 1) != ()


def as_threats(value: Any, *, argument: str, box: tuple[float, float] | None = None) -> list[Threat]:
    """The threats of a radius or threat, or of a list of them; a radius is that of an l-infinity ball.

    Radii are numbers (also of numpy) and texts such as `8/255`. Threats without bounds are given the box. Raises
    `TypeError` for anything else, and `ValueError` for a negative radius, an empty list, and threats of which some
    differ in more than norm and epsilon.
    """
    given = list(value) if is_several(value) else [value]
    if not given:
        raise ValueError(f"{argument} is an empty list: there is no radius to attack at")
    threats = [_as_threat(one, argument) for one in given]
    threats = [replace(one, bounds=box) if one.bounds is None and box is not None else one for one in threats]
    if not all(one.differs_in_radius_alone(threats[0]) for one in threats):
        raise ValueError("threats given together must differ in norm and epsilon alone")
    return threats


def threats_alone(value: Any) -> list[Threat]:
    """The threats of a threat or of a list of them. Raises `TypeError` for anything else, radii too."""
    given = list(value) if is_several(value) else [value]
    meant = "a bnnbench.Threat, such as bnnbench.Threat(epsilon=0.1), or a list of them"
    return [arguments.instance_of(one, Threat, argument="threat", meant=meant) for one in given]


def _as_threat(value: Any, argument: str) -> Threat:
    if isinstance(value, Threat):
        return value
    return Threat(epsilon=arguments.radius(value, argument=argument, meant="a radius, such as 0.1 or '8/255'"))
