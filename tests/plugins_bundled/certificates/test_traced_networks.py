"""Proofs are about the networks of the draws, whatever their forward methods compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from bnnbench_plugins.certificates.crown import Crown
from bnnbench_plugins.certificates.exact import Exact
from bnnbench_plugins.certificates.interval import IntervalBounds
from bnnbench_plugins.certificates.posterior_probability import PosteriorProbability
from random_networks import least_margin, margin
from torch import Tensor, nn

import bnnbench as bb

Forward = Callable[[Any, Tensor], Tensor]
CERTIFICATES = (IntervalBounds(), Crown(), Exact())
FORWARDS: dict[str, Forward] = {
    "indexing": lambda net, x: net.last((x - net.mean[None, :]) / net.std[None]),
    "methods": lambda net, x: net.last((x - net.mean.view(1, -1)) * net.std.reciprocal()),
    "arithmetic": lambda net, x: net.last(x * (1 / net.std) + (-net.mean / net.std)),
    "a number": lambda net, x: net.last(x - net.mean.sum().item()),
    "parameters": lambda net, x: net.last(x * net.scale.exp() + torch.softmax(net.scale, 0)),
    "weights": lambda net, x: F.linear(x, net.last.weight * net.std.sqrt(), net.last.bias - net.mean.sum()),
    "difference": lambda net, x: net.last(torch.tanh(net.hidden(x)) - net.hidden(torch.sigmoid(x))),
    "difference of one": lambda net, x: net.last(torch.sub(x, net.hidden(x))) - net.last(x),
    "log-softmax": lambda net, x: F.log_softmax(net.last(net.hidden(x)), dim=1),
    "log-softmax method": lambda net, x: net.last(torch.relu(net.hidden(x)) - x).log_softmax(-1),
}


class Net(nn.Module):
    """A network of two inputs with buffers and a parameter outside of layers, by a forward function."""

    def __init__(self, forward: Forward, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.function = forward
        self.hidden, self.last = nn.Linear(2, 2), nn.Linear(2, 3)
        self.scale = nn.Parameter(torch.zeros(2))
        self.register_buffer("mean", torch.rand(2, generator=generator))
        self.register_buffer("std", 0.2 + torch.rand(2, generator=generator))
        with torch.no_grad():
            for value in self.parameters():
                value.copy_(torch.randn(value.shape, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def check(predictive: bb.Predictive) -> None:
    """No bound is above what attacks find, and something is certified."""
    x = torch.rand(30, 2, generator=torch.Generator().manual_seed(5))
    y, draws = predictive.log_probs(x).argmax(1), range(len(predictive))
    for epsilon in (0.0, 0.08):
        threat, certified = bb.Threat(epsilon=epsilon), 0
        least = least_margin(predictive, x, y, threat, tries=10) if epsilon else margin(predictive, x, y)
        for certificate in CERTIFICATES:
            proof = certificate.prove(predictive, draws, x, y, threat)
            assert proof.bound is not None
            assert (proof.bound <= least + 1e-6).all()
            certified += int(proof.certified.sum())
            if not epsilon and not isinstance(certificate, Exact):
                assert torch.allclose(proof.bound.float(), least.float().clamp(max=1), atol=0.4)
        assert certified > 10


@pytest.mark.parametrize("name", FORWARDS)
def test_members_have_buffers_and_parameters_of_their_own(name: str, tmp_path: Path) -> None:
    check(bb.predictive([Net(FORWARDS[name], seed) for seed in range(3)]))
    bb.predictive([Net(FORWARDS[name], 1)]).save(tmp_path / "one.safetensors")
    check(bb.load(tmp_path / "one.safetensors", network=Net(FORWARDS[name], 2)))


@pytest.mark.parametrize("name", ["log-softmax", "log-softmax method"])
def test_a_final_log_softmax_changes_no_bound_but_by_rounding(name: str) -> None:
    logits = {
        "log-softmax": lambda net, x: net.last(net.hidden(x)),
        "log-softmax method": lambda net, x: net.last(torch.relu(net.hidden(x)) - x),
    }[name]
    x, threat = torch.rand(20, 2), bb.Threat(epsilon=0.05)
    with_end, without = (
        bb.predictive([Net(forward, seed) for seed in range(2)]) for forward in (FORWARDS[name], logits)
    )
    y = without.log_probs(x).argmax(1)
    for certificate in CERTIFICATES[:2]:
        found, expected = (certificate.prove(one, [0, 1], x, y, threat).bound for one in (with_end, without))
        assert found is not None
        assert expected is not None
        assert torch.allclose(found, expected, atol=1e-4)
        assert (found <= expected + 1e-12).all()


def with_autocast(net: Any, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return net.last(net.hidden(x)) * torch.ones(1)


REFUSED: dict[str, tuple[Forward, str]] = {
    "autocast": (with_autocast, "other logits than it computes itself"),
    "a buffer that torch.fx does not see": (lambda net, x: net.last(x - 2 * net._buffers["mean"]), "other logits"),
    "random": (lambda net, x: net.last(x + torch.randn(2)), "other logits"),
    "a branch by a buffer": (lambda net, x: net.last(x) if net.mean.sum() > 0.5 else -net.last(x), "cannot trace"),
    "in place": (lambda net, x: net.last(x - net.mean.clamp_(0, 1)), "in place"),
    "wide and narrow": (lambda net, x: net.last(net.hidden(x) + x[:, :1]), "no bounds of"),
    "log-softmax inside": (lambda net, x: net.last(F.log_softmax(x, 1)), "log_softmax ('log_softmax') with another"),
    "log-softmax with a dtype": (lambda net, x: F.log_softmax(net.last(x), 1, dtype=torch.float64), "a dtype"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_graph_leaves_out_is_refused_in_one_line(name: str) -> None:
    forward, told = REFUSED[name]
    predictive = bb.predictive([Net(forward, seed) for seed in range(2)])
    for certificate in CERTIFICATES:
        with pytest.raises(bb.Incompatible) as error:
            certificate.prove(
                predictive, [0, 1], torch.rand(5, 2), torch.zeros(5, dtype=torch.int64), bb.Threat(epsilon=0.1)
            )
        assert told in str(error.value)
        assert "\n" not in str(error.value)


class Broadcast(nn.Module):
    """The sum or difference of a wide and a narrow layer."""

    def __init__(self, forward: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = forward
        self.wide, self.narrow, self.last = nn.Linear(3, 4), nn.Linear(3, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.wide(x), self.narrow(x)))


SHAPES: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "wide first": (Broadcast(lambda wide, narrow: wide + narrow), (3,), "two layers of different shapes"),
    "narrow first": (Broadcast(lambda wide, narrow: narrow + wide), (3,), "two layers of different shapes"),
    "difference": (Broadcast(lambda wide, narrow: narrow - wide), (3,), "two layers of different shapes"),
    "max pool": (nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 2)), (4, 4), "layer MaxPool2d ('0')"),
    "average pool": (nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 2)), (4, 4), "(N, 4, 4)"),
    "adaptive": (nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4, 2)), (4, 4), "(N, 4, 4)"),
    "convolution": (nn.Sequential(nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(16, 2)), (4, 4), "(N, 4, 4)"),
    "five": (nn.Sequential(nn.Conv2d(5, 5, 1), nn.Flatten(), nn.Linear(16, 2)), (4, 4), "fails for two images"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_without_bounds_are_refused_in_one_line(name: str) -> None:
    network, shape, told = SHAPES[name]
    predictive = bb.Predictive(network, {name: value[None].detach() for name, value in network.named_parameters()})
    with pytest.raises(bb.Incompatible) as error:
        Crown().prove(predictive, [0], torch.rand(5, *shape), torch.zeros(5, dtype=torch.int64), bb.Threat(epsilon=0.1))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("certificate", [*CERTIFICATES, Crown(steps=2), PosteriorProbability()], ids=repr)
def test_of_no_images_nothing_is_proven(certificate: bb.Certificate) -> None:
    predictive = bb.predictive([Net(FORWARDS["difference"], seed) for seed in range(2)])
    x, y = torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)
    proof = certificate.prove(predictive, [0, 1], x, y, bb.Threat(epsilon=0.1))
    assert proof.bound is not None
    assert (proof.certified.shape, proof.bound.shape, proof.certified.dtype) == ((0,), (0,), torch.bool)
