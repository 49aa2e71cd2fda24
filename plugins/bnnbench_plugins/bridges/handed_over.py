"""What a bridge hands to another library and takes from it: a model, random states, and perturbed inputs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from bnnbench import GradientRefused, Threat, Victim
from bnnbench.authoring import per_image

ROUNDING = 1e-5
"""The largest distance from ball and box, in widths of the box, that passes for the rounding of another library."""


class Asked(nn.Module):
    """A module from inputs (n, *shape), in units in which the box is (0, 1), to log-probabilities (n, K).

    Each call is a query of the victim. It has a gradient if its input requires one and gradients are enabled. Raises
    `GradientRefused` if the threat gives none. Under the access `decisions` the predicted class has the value 1 and all
    others 0; classes beyond the predicted ones and the labels are left out.

    Args:
        victim: the victim.
        y: the labels.
        threat: the threat.
    """

    def __init__(self, victim: Victim, y: Tensor, threat: Threat) -> None:
        super().__init__()
        self._victim, self._threat, self._largest = victim, threat, int(y.max())
        # Libraries look for the device of a model at its first parameter.
        self.place = nn.Parameter(torch.empty(0, device=y.device), requires_grad=False)
        self.eval()

    def forward(self, unit: Tensor) -> Tensor:
        x = self._threat.box[0] + self._threat.width * unit
        if x.requires_grad and torch.is_grad_enabled():
            if self._threat.access != "gradient":
                raise GradientRefused("the attack asks for gradients, and this threat gives the attacker none")
            logits = self._victim.logits(x)
            return (logits.log_softmax(-1).logsumexp(0) - np.log(len(logits))).to(unit)
        x = x.detach()
        if self._threat.access == "decisions":
            classes = self._victim.decisions(x)
            return nn.functional.one_hot(classes, max(self._largest, int(classes.max())) + 1).to(unit)
        return self._victim.log_probs(x).to(unit)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the context the global random states of torch, numpy and `random` come from a seed (uint32).

    Afterwards they are as they were before.
    """
    # Libraries draw from numpy's older, global generator.
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def settled(x: Tensor, made: Tensor, threat: Threat) -> Tensor:
    """Perturbed inputs (N, *shape), those that leave ball or box by no more than rounding projected.

    Inputs that are further outside stay as they are, so that the core refuses them.
    """
    low, high = threat.box
    flat = made.flatten(1)
    outside = torch.stack([threat.distance(x, made) - threat.epsilon, low - flat.amin(1), flat.amax(1) - high]).amax(0)
    rounded = (outside > 0) & (outside <= ROUNDING * threat.width)
    return threat.project(x, made).where(per_image(rounded, made), made)
