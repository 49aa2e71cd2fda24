"""Networks that return probabilities are refused, or handled right where they say so."""

from __future__ import annotations

import pytest
import torch
from known import random_inputs
from torch import nn

import bnnbench as bb
from bnnbench.errors import NetworkError


def ensembles(last: nn.Module, **options: str) -> tuple[bb.Predictive, bb.Predictive]:
    """The same draws of a network of logits, and of the network with a last layer more."""
    generator = torch.Generator().manual_seed(0)
    draws = {
        "0.weight": 4 * torch.randn(6, 8, 5, generator=generator),
        "0.bias": torch.randn(6, 8, generator=generator),
        "2.weight": 4 * torch.randn(6, 3, 8, generator=generator),
        "2.bias": torch.randn(6, 3, generator=generator),
    }
    layers = [nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)]
    return bb.Predictive(nn.Sequential(*layers), draws), bb.Predictive(nn.Sequential(*layers, last), draws, **options)  # type: ignore[arg-type]


def test_declared_probabilities_give_what_their_logits_give() -> None:
    plain, declared = ensembles(nn.Softmax(-1), outputs="probabilities")
    x, y = random_inputs(images=12)
    x = x.float()
    assert torch.allclose(declared.log_probs(x), plain.log_probs(x), atol=1e-5)
    assert torch.allclose(declared.gradient(x, y, "log-margin"), plain.gradient(x, y, "log-margin"), atol=1e-3)
    assert torch.allclose(declared.as_module()(x), plain.log_probs(x), atol=1e-5)
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    robust = [bb.evaluate(one, bb.attack("pgd", steps=10), data, epsilon=0.1) for one in (plain, declared)]
    assert robust[0].robust_accuracy == robust[1].robust_accuracy


def test_log_probabilities_need_no_declaration() -> None:
    for options in ({}, {"outputs": "log-probabilities"}):
        plain, other = ensembles(nn.LogSoftmax(-1), **options)
        x, _ = random_inputs(images=12)
        assert torch.allclose(other.log_probs(x.float()), plain.log_probs(x.float()), atol=1e-5)


def test_undeclared_probabilities_are_refused_wherever_they_are_used() -> None:
    _, taken = ensembles(nn.Softmax(-1))
    x, y = random_inputs(images=12)
    x = x.float()
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    calls = [
        lambda: taken.log_probs(x),
        lambda: taken.gradient(x, y, "log-margin"),
        lambda: taken.as_module()(x),
        lambda: bb.attack("fgsm")(taken, x, y, bb.Threat(epsilon=0.1)),
        lambda: bb.evaluate(taken, bb.attack("fgsm"), data, epsilon=0.1),
    ]
    for call in calls:
        with pytest.raises(NetworkError, match="returns probabilities, not logits"):
            call()


def test_a_declaration_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="outputs is 'odds', not one of logits, probabilities, log-probabilities"):
        ensembles(nn.Identity(), outputs="odds")


def test_declared_logits_are_taken_as_they_are() -> None:
    _, taken = ensembles(nn.Softmax(-1), outputs="logits")
    x, _ = random_inputs(images=12)
    assert taken.log_probs(x.float()).exp().max() < 0.6
