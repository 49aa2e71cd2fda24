"""Ensembles are stacked only if their members provably differ in their weights alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

import bnnbench as bb
from bnnbench.core.same_architecture import weights_alone_differ

Maker = Callable[[], nn.Module]


def norm_first() -> nn.Module:
    layers = [("flat", nn.Flatten()), ("lin", nn.Linear(8, 16)), ("norm", nn.LayerNorm(16)), ("act", nn.ReLU())]
    return nn.Sequential(OrderedDict([*layers, ("out", nn.Linear(16, 3))]))


def activation_first() -> nn.Module:
    layers = [("flat", nn.Flatten()), ("lin", nn.Linear(8, 16)), ("act", nn.ReLU()), ("norm", nn.LayerNorm(16))]
    return nn.Sequential(OrderedDict([*layers, ("out", nn.Linear(16, 3))]))


class With(nn.Module):
    """A linear layer, and something that its outputs depend on."""

    def __init__(self, setting: Any) -> None:
        super().__init__()
        self.lin, self.setting = nn.Linear(8, 3), setting

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.lin(x)
        return out


class Agreeable:
    """A configuration that calls every other one equal."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


@dataclass
class Partly:
    """A data class whose `==` leaves its field out."""

    factor: float = field(compare=False)


class Slotted:
    __slots__ = ("factor",)

    def __init__(self, factor: float) -> None:
        self.factor = factor


def nested(factor: float) -> dict[str, Any]:
    return {"layers": [Partly(factor), {"scale": (1, factor)}], "names": {"a", "b"}}


@pytest.mark.parametrize("setting", [Agreeable, Partly, Slotted, nested, float, lambda f: [f], lambda f: {"a": f}])
def test_members_with_other_settings_are_kept_apart(setting: Callable[[float], Any]) -> None:
    assert not weights_alone_differ(With(setting(1.0)), With(setting(9.0)))


@pytest.mark.parametrize("setting", [Agreeable, Partly, nested, float, lambda f: [f], lambda f: {"a": f}])
def test_members_with_equal_settings_are_stacked(setting: Callable[[float], Any]) -> None:
    assert weights_alone_differ(With(setting(1.0)), With(setting(1.0)))


def test_a_setting_that_holds_itself_is_not_compared_for_ever() -> None:
    def held() -> list[Any]:
        setting: list[Any] = [1.0]
        setting.append(setting)
        return setting

    assert not weights_alone_differ(With(held()), With(held()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (norm_first, activation_first),
        (
            lambda: With({"relu": torch.relu, "tanh": torch.tanh}),
            lambda: With({"tanh": torch.tanh, "relu": torch.relu}),
        ),
        (
            lambda: nn.ModuleDict({"a": nn.Linear(8, 8), "b": nn.Linear(8, 8)}),
            lambda: nn.ModuleDict({"b": nn.Linear(8, 8), "a": nn.Linear(8, 8)}),
        ),
    ],
)
def test_the_order_of_layers_and_attributes_counts(
    one: Callable[[], nn.Module], other: Callable[[], nn.Module]
) -> None:
    assert weights_alone_differ(one(), one())
    assert not weights_alone_differ(one(), other())


def test_an_ensemble_of_other_orders_predicts_as_its_members() -> None:
    torch.manual_seed(0)
    members = [norm_first(), activation_first()]
    x = torch.rand(20, 8)
    logits = bb.predictive(members).logits(x)
    for member, mine in zip(members, logits, strict=True):
        assert torch.allclose(mine, member.eval()(x), atol=1e-6)
