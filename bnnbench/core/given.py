"""What public functions are given, in the form that the core uses: inputs as tensors, radii and threats as threats."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bnnbench.core import arguments
from bnnbench.core.arrays import array_of, dense, refuse_masked, strided, tensor_of_array
from bnnbench.core.threat import Threat
from bnnbench.plugins.described import described

if TYPE_CHECKING:
    from torch import Tensor


def as_inputs(value: Any, *, argument: str = "inputs") -> Tensor:
    """Inputs (N, *shape) as a tensor of floats, detached. Integers and booleans become float32, floats stay.

    Tensors, arrays of numpy and JAX, tables, and nested lists of numbers are taken. Floats that numpy lacks, such as
    JAX's bfloat16, and torch's floats of 8 bits become float32. Raises `TypeError` for anything else, and for complex
    numbers; `ValueError` for a single input without the leading axis.
    """
    import torch

    if isinstance(value, torch.Tensor):
        x = dense(value, argument)
    else:
        try:
            x = tensor_of_array(array_of(value, argument))
        except ValueError as error:
            raise TypeError(str(error)) from error
    if x.is_complex():
        raise TypeError(f"{argument} are {x.dtype}, not real numbers")
    if x.ndim < 2 or x.numel() == 0:
        found = f"{argument} of shape {tuple(x.shape)}: (N, *shape) with N >= 1 is meant"
        raise ValueError(f"{found}{', also for a single input' * (x.ndim < 2)}")
    return x if x.is_floating_point() else x.to(torch.float32)


def tensor_of(value: Any) -> Tensor:
    """Inputs as a tensor of floats: one that is given is returned as it is, with its graph; others as `as_inputs`."""
    import torch

    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.ndim < 2:
        return as_inputs(value)
    return strided(value, "inputs")


def like(given: Any, made: Tensor) -> Any:
    """A tensor in the form of what was given: a tensor for a tensor, a numpy array for anything else."""
    import torch

    return made if isinstance(given, torch.Tensor) else made.numpy(force=True)


def is_several(value: Any) -> bool:
    """Whether a value is a list, a tuple or an array of values, not a single one."""
    return not isinstance(value, str | bytes | dict) and hasattr(value, "__iter__") and getattr(value, "shape", 1) != ()


def listed(value: Any, argument: str) -> list[Any]:
    """The values of a list, a tuple or an array, or the single value that is none of these, as a list.

    `argument` is the name in messages. Raises `TypeError` for a table, whose items are the names of its columns, and
    for masked values.
    """
    refuse_masked(value, f"the values of {argument}")
    if getattr(value, "ndim", 0) > 1:
        raise TypeError(f"{argument} is one value or a list of them, not {described(value)}")
    return list(value) if is_several(value) else [value]


def as_threats(value: Any, *, argument: str, box: tuple[float, float] | None = None) -> list[Threat]:
    """The threats of a radius or threat, or of a list of them; a radius is that of an l-infinity ball.

    Radii are numbers (also of numpy) and texts such as `8/255`. Threats without bounds are given the box. Raises
    `TypeError` for anything else, and `ValueError` for a negative radius, an empty list, and threats of which some
    differ in more than norm and epsilon.
    """
    given = listed(value, argument)
    if not given:
        raise ValueError(f"{argument} is an empty list: there is no radius to attack at")
    threats = [_as_threat(one, argument) for one in given]
    threats = [replace(one, bounds=box) if one.bounds is None and box is not None else one for one in threats]
    if not all(one.differs_in_radius_alone(threats[0]) for one in threats):
        raise ValueError("threats given together must differ in norm and epsilon alone")
    return threats


def threats_alone(value: Any) -> list[Threat]:
    """The threats of a threat or of a list of them. Raises `TypeError` for anything else, radii too."""
    given = listed(value, "threat")
    meant = "a bnnbench.Threat, such as bnnbench.Threat(epsilon=0.1), or a list of them"
    return [arguments.instance_of(one, Threat, argument="threat", meant=meant) for one in given]


def _as_threat(value: Any, argument: str) -> Threat:
    if isinstance(value, Threat):
        return value
    return Threat(epsilon=arguments.radius(value, argument=argument, meant="a radius, such as 0.1 or '8/255'"))
