"""Logistic regression for the Hamiltonian samplers."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from torch import nn

import bnnbench as bb

ENGINES: dict[str, dict[str, Any]] = {
    "pyro-hmc": {"trajectory_length": 2.0, "step_size": 0.2},
    "numpyro-hmc": {"trajectory_length": 2.0, "step_size": 0.2},
    "numpyro-nuts": {"step_size": 0.2},
}
"""Each sampler with settings that suit these problems."""
if find_spec("blackjax"):
    ENGINES["blackjax-mclmc"] = {"leapfrog_steps": 5, "step_size": 0.2}


class NoBias(nn.Linear):
    """A linear layer of two classes without bias: as many differences as inputs."""

    def __init__(self, inputs: int) -> None:
        super().__init__(inputs, 2, bias=False)


def problem(inputs: int) -> bb.Data:
    """Twelve points of one or two inputs, of which a line tells most of the classes."""
    generator = np.random.default_rng(inputs)
    x = generator.uniform(-1, 1, size=(12, inputs)).astype("f4")
    y = (x @ np.array([2.0, -1.0])[:inputs] + 0.5 * generator.normal(size=12) > 0).astype(int)
    return bb.Data(train=(x, y), test=(x, y), bounds=(-1, 1))
