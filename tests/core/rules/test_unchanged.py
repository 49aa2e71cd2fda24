"""The weights of a predictive are checked with one checksum an attack."""

from __future__ import annotations

import pytest
import torch
from known import random_ensemble, random_inputs

import bnnbench as bb
from bnnbench.core.rules import checksums
from bnnbench.core.rules.checksums import Unchanged


def in_place(tensors: dict[str, torch.Tensor]) -> None:
    tensors["a"].add_(1)


def behind_torch(tensors: dict[str, torch.Tensor]) -> None:
    tensors["a"].data[0] = 7


def exchanged(tensors: dict[str, torch.Tensor]) -> None:
    tensors["a"].data[[0, 1]] = tensors["a"].data[[1, 0]].clone()


def replaced(tensors: dict[str, torch.Tensor]) -> None:
    tensors["a"] = tensors["a"] + 1


def replaced_by_an_equal_one(tensors: dict[str, torch.Tensor]) -> None:
    tensors["a"] = tensors["a"].clone()


@pytest.mark.parametrize("change", [in_place, behind_torch, exchanged, replaced, replaced_by_an_equal_one])
def test_every_change_is_noticed_once(change: object) -> None:
    tensors = {"a": torch.arange(5.0), "b": torch.ones(3)}
    unchanged = Unchanged(tensors, {"c": torch.zeros(2)})
    unchanged.begin()
    assert unchanged.holds()
    unchanged.begin()
    change(tensors)  # type: ignore[operator]
    assert not unchanged.holds()
    # What comes next is compared with the tensors as they are by then.
    unchanged.begin()
    assert unchanged.holds()


@pytest.mark.parametrize("change", [in_place, replaced])
def test_a_change_between_two_checks_is_no_fault_of_the_second(change: object) -> None:
    tensors = {"a": torch.arange(5.0)}
    unchanged = Unchanged(tensors)
    unchanged.begin()
    assert unchanged.holds()
    change(tensors)  # type: ignore[operator]
    unchanged.begin()
    assert unchanged.holds()


def test_each_attack_after_the_first_takes_one_checksum_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs()
    taken = []
    own = checksums.traces
    monkeypatch.setattr(checksums, "traces", lambda tensors: taken.append(1) or own(tensors))
    for expected in (2, 3, 4):
        bb.attack("fgsm")(predictive, x, y, bb.Threat(epsilon=0.1))
        assert len(taken) == expected
