"""The fits that an attacker makes itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bnnbench as bb

DATA = bb.dataset("half-moons", train_size=40).load(seed=0)
TRANSFER = bb.attack("transfer", source="posterior", posterior={"use": "sgd", "epochs": 1})


def function(x: Any) -> Any:
    return np.stack([0 * x[:, 0], x[:, 0] - 0.5], 1)


@pytest.mark.parametrize(
    "models", [function, [function, function], [nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))]]
)
def test_where_there_is_no_one_network_nothing_is_fitted(models: Any) -> None:
    with pytest.raises(bb.Incompatible, match="fits the network of the ensemble anew, and the predictive is not one"):
        bb.evaluate(models, TRANSFER, DATA, epsilon=0.1, images=4)


def test_a_fault_of_the_one_network_stays_a_fault() -> None:
    class Broken(nn.Module):
        """Takes the few images of the evaluation, and not a batch of the training."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 20:
                raise bb.NetworkError("too many inputs")
            return torch.as_tensor(self.layer(x))

    with pytest.raises(bb.NetworkError, match="too many inputs"):
        bb.evaluate(Broken(), TRANSFER, DATA, epsilon=0.1, images=4)
