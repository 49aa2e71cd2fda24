"""Whether the draws of a predictive are independent."""

from __future__ import annotations

from bnnbench.core.foreign import INDEPENDENT
from bnnbench.core.posterior import Posterior
from bnnbench.core.predictive import Predictive


def independence(predictive: Predictive) -> str:
    """The reason why draws are independent; empty if they are not known to be."""
    if isinstance(predictive.fitted_by, Posterior) and predictive.fitted_by.independent_draws:
        return "draws are independent by construction"
    reason = predictive.diagnostics.get(INDEPENDENT)
    return f"{reason}: independent draws, but not of a posterior that is known" if reason else ""
