"""Whether inputs lie in their box, up to rounding, and what to do about those that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench.errors import InvalidData

if TYPE_CHECKING:
    from torch import Tensor

FLOAT32 = 2.0**-23
"""The distance from 1 to the next float32."""
SHOWN = 5
"""The largest number of positions that a message lists."""


def rounding(low: float, high: float, precision: float = FLOAT32) -> float:
    """The distance by which inputs that were computed in floats may miss their box, as normalised images do.

    It allows for a few operations that each round at the larger end of the box. `precision` is the distance from 1 to
    the next float of the inputs' type.
    """
    return 4 * precision * max(abs(low), abs(high))


def same_box(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two boxes are the same up to the rounding of float32."""
    slack = rounding(*other)
    return all(abs(end - end_of_other) <= slack for end, end_of_other in zip(one, other, strict=True))


def check_finite(x: Tensor, of: str = "") -> None:
    """Raise `InvalidData` if an input of x (N, *shape) is not finite. `of` tells whose inputs they are."""
    wrong = (~x.isfinite().flatten(1).all(1)).nonzero()[:, 0].tolist()
    if wrong:
        listed = ", ".join(map(str, wrong[:SHOWN]))
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        several = len(wrong) > 1
        raise InvalidData(f"input{'s' * several} {listed}{more}{of} {'are' if several else 'is'} not finite")


def check_in_box(
    x: Tensor, bounds: tuple[float, float], *, argument: str, precision: float = FLOAT32, byte: bool = False
) -> None:
    """Raise `InvalidData`, with a remedy, if finite inputs x (N, *shape) miss a box by more than rounding.

    Args:
        x: the inputs.
        bounds: the box.
        argument: the name of the inputs in the message, in the plural.
        precision: the distance from 1 to the next float of the type in which the inputs were given.
        byte: whether they were given as bytes.
    """
    low, high = bounds
    smallest, largest = float(x.min()), float(x.max())
    slack = rounding(low, high, max(precision, FLOAT32))
    if smallest < low - slack or largest > high + slack:
        found = f"{argument} lie in [{smallest:g}, {largest:g}], outside the box [{low:g}, {high:g}]"
        raise InvalidData(f"{found}: {_remedy(x, bounds, byte)}")


def clipped(x: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Inputs x (N, *shape) that miss the box by rounding at most, moved into it; x itself if all lie in it."""
    import torch

    # The ends of the box in the type of the inputs.
    low, high = torch.tensor(bounds, dtype=x.dtype, device="cpu").tolist()
    return x if low <= float(x.min()) and float(x.max()) <= high else x.clamp(low, high)


def _remedy(x: Tensor, bounds: tuple[float, float], byte: bool) -> str:
    """What to do about inputs outside of the box."""
    smallest, largest = float(x.min()), float(x.max())
    if bounds == (0.0, 1.0) and smallest >= 0 and largest <= 255 and (byte or largest > 127):
        return "divide the images by 255, or give bounds=(0, 255)"
    if smallest >= bounds[0]:
        return "scale the inputs, or give as bounds the smallest and the largest value that an input may have"
    return (
        "give as bounds the smallest and the largest value that an input may have, such as "
        "((0 - mean) / deviation, (1 - mean) / deviation) for images normalised with a mean and a deviation"
    )
