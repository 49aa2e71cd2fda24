"""Compare the steps of each draw's network with the network itself, before anything is proven from them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bnnbench import Incompatible, Predictive
from bnnbench_plugins.certificates.intervals import Interval
from bnnbench_plugins.certificates.network_bounds import NetworkBounds
from bnnbench_plugins.certificates.region import Region

TRIALS = 3
"""The number of images. Graphs are traced with two, so that what depends on the number of images shows."""


def check_on_trial(predictive: Predictive, draws: Sequence[int], x: Tensor, networks: Sequence[NetworkBounds]) -> None:
    """Raise `Incompatible` unless the bounds over single images hold the logits that the draws compute.

    What a graph leaves out, such as `torch.autocast` or a value that the network takes from elsewhere, makes proofs
    wrong. Logits are compared up to a number that all classes share, which changes no probability. Images at which a
    value may overflow are left out: nothing is proven there.
    """
    if len(x) == 0:
        return
    points = x[torch.arange(TRIALS, device=x.device) % len(x)].to(predictive.device, predictive.dtype)
    centre = points.double()
    region = Region(centre, Interval(centre, centre), 0.0, "linf")
    with torch.no_grad():
        for draw, network in zip(draws, networks, strict=True):
            bounds = network.propagate(region, refine=False)
            logits, found = predictive.logits(points, [draw])[0].double(), bounds.intervals[-1]
            assert found is not None
            holds = (found.lower - logits).amax(1) <= (found.upper - logits).amin(1)
            if not (holds | bounds.overflow).all():
                raise Incompatible(
                    "no bounds of this network: traced by torch.fx, it gives other logits than it computes itself "
                    "(torch.autocast, TF32, random numbers or values from elsewhere, which a graph leaves out)"
                )
