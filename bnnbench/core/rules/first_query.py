"""The first query of a predictive at inputs of some shape: it shows whether its models can be evaluated at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench.core.ensemble import batching
from bnnbench.core.standard_settings import standard_settings

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench.core.predictive import Predictive


@standard_settings()
def classes_of(predictive: Predictive, x: Tensor) -> int:
    """The number K of classes that a predictive gives at inputs of the shape of x (N, *shape).

    Raises `NetworkError` if it cannot be evaluated at such inputs, or is no fixed function of each image. An `OSError`,
    such as that of a server that does not answer, is passed on.
    """
    return batching.footprint(predictive, x[:1].to(predictive.device, predictive.dtype)).classes
