"""Copies of networks, and their modes whatever a module calls `train`."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import weight_norm

from bnnbench.core.network_copy import copied, in_eval_mode, in_train_mode
from bnnbench.errors import NetworkError


class Locked(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(2, 2))
        self.guard = threading.Lock()


class Loop(nn.Module):
    """Its `train` is a training loop."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)

    def train(self, loader: Any, device: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


class Frozen(nn.Module):
    """Keeps its batch norm in eval mode, as is usual when a pretrained network is tuned."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.drop = nn.Dropout(0.5)

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.norm.eval()
        return self


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Locked(), r"Locked cannot be copied: 'guard' \(lock\) of Locked: cannot pickle '_thread.lock' object"),
        (nn.Sequential(nn.ReLU(), Locked()), r"cannot be copied: '1.guard' \(lock\) of Locked"),
        (nn.Sequential(weight_norm(nn.Linear(2, 2))), r"'0.weight' \(Tensor\) of Linear: .*parametrizations"),
        (nn.Sequential(nn.LazyLinear(2)), r"layer '0' \(LazyLinear\) has no sizes yet"),
        (nn.Sequential(nn.Flatten(), nn.LazyBatchNorm1d()), r"layer '1' \(LazyBatchNorm1d\) has no sizes yet"),
    ],
)
def test_what_cannot_be_copied_is_named(network: nn.Module, told: str) -> None:
    with pytest.raises(NetworkError, match=told):
        copied(network)


def test_a_copy_shares_no_weight() -> None:
    network = nn.Linear(2, 2)
    other = copied(network)
    other.weight.data.zero_()  # type: ignore[operator, union-attr]
    assert network.weight.abs().sum() > 0


def test_something_else_than_a_network_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"torch.nn.Module, not dict"):
        copied({})  # type: ignore[arg-type]


def modes(network: nn.Module) -> list[bool]:
    return [module.training for module in network.modules()]


@pytest.mark.parametrize("network", [nn.Sequential(nn.Linear(2, 2), nn.Dropout()), Loop(), nn.Sequential(Loop())])
def test_modes_are_set_without_calling_a_training_loop(network: nn.Module) -> None:
    assert not any(modes(in_eval_mode(network)))
    assert all(modes(in_train_mode(network)))
    assert not any(modes(in_eval_mode(network)))


@pytest.mark.parametrize("network", [Frozen(), nn.Sequential(Frozen())])
def test_layers_that_a_network_keeps_in_eval_mode_stay_so(network: nn.Module) -> None:
    in_train_mode(in_eval_mode(network))
    assert {type(module).__name__: module.training for module in network.modules()} | {"Sequential": True} == {
        "Sequential": True,
        "Frozen": True,
        "BatchNorm1d": False,
        "Dropout": True,
    }
