"""The first query of a predictive at inputs of some shape: it shows whether its models can be evaluated at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnnbench.core.ensemble import batching
from bnnbench.core.rules.network_trial import not_evaluated
from bnnbench.core.standard_settings import standard_settings
from bnnbench.errors import BnnbenchError

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench.core.predictive import Predictive


@standard_settings()
def classes_of(predictive: Predictive, x: Tensor) -> int:
    """The number K of classes that a predictive gives at inputs of the shape of x (N, *shape).

    Raises `NetworkError` if it cannot be evaluated at such inputs, in one line. An `OSError`, such as that of a server
    that does not answer, is passed on.
    """
    x = x[:1].to(predictive.device, predictive.dtype)
    try:
        return batching.footprint(predictive, x).classes
    except (BnnbenchError, OSError):
        raise
    except Exception as error:
        raise not_evaluated(predictive.described, x, error) from error
