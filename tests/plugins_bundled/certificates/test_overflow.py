"""Nothing is proven where a value may overflow in the predictive's type."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnnbench_plugins.certificates import network_bounds
from bnnbench_plugins.certificates.crown import Crown
from bnnbench_plugins.certificates.exact import Exact
from bnnbench_plugins.certificates.interval import IntervalBounds
from bnnbench_plugins.certificates.relaxation import Relaxation
from torch import Tensor, nn

import bnnbench as bb

CERTIFICATES = (IntervalBounds(), Crown(), Crown(steps=2), Exact())


class Large(nn.Module):
    """tanh(x) by way of a factor, which overflows float32 above an input of 0.34 at a factor of 1e39."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down, self.last = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False), nn.Linear(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.down(self.up(x) * 1e30)))


def large(dtype: str = "f4") -> bb.Predictive:
    """Class 0 below tanh(x) = 0.9, where float64 sees every input of the box; float32 gives class 1 from 0.34 on."""
    weights = {"up.weight": [[1e9]], "down.weight": [[1e-39]], "last.weight": [[-10.0], [0.0]], "last.bias": [9.0, 0.0]}
    return bb.Predictive(Large(), {name: np.array([value], dtype) for name, value in weights.items()})


def test_regions_over_which_a_value_overflows_are_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = torch.tensor([[0.05], [0.2], [0.3]]), torch.zeros(3, dtype=torch.int64)
    far, near = bb.Threat(epsilon=0.6), bb.Threat(epsilon=0.01)
    assert (large().log_probs(x + 0.5).argmax(1) == 1).all()
    assert (large("f8").log_probs(x.double() + 0.5).argmax(1) == 0).all()
    for certificate in CERTIFICATES:
        proof = certificate.prove(large(), [0], x, y, far)
        assert proof.bound is not None
        assert not proof.certified.any()
        assert (proof.bound == -1).all() or isinstance(certificate, Exact)
        assert not proof.bound.isnan().any()
        assert certificate.prove(large("f8"), [0], x, y, far).certified.all()
        assert certificate.prove(large(), [0], x[:1], y[:1], near).certified.all()
    monkeypatch.setattr(network_bounds.rounding, "largest", lambda dtype: 1e300)
    assert Crown().prove(large(), [0], x, y, far).certified.all()


def test_draws_that_may_overflow_are_not_counted_as_robust() -> None:
    weights = {name: draws.repeat(2, *[1] * (draws.ndim - 1)) for name, draws in large().draws.items()}
    predictive = bb.Predictive(Large(), weights)
    x, y = torch.tensor([[0.05]]), torch.zeros(1, dtype=torch.int64)
    for epsilon, robust in ((0.6, False), (0.01, True)):
        margins = Relaxation(predictive, [0, 1], x, bb.Threat(epsilon=epsilon), 1024).margins(y)
        assert (margins > 0).all() == robust
        assert (margins == -torch.inf).all() == (not robust)


@pytest.mark.parametrize(
    "layer",
    [nn.AvgPool2d(2), nn.Softplus(1.0, threshold=100.0)],
    ids=["sums before a division", "an exponential before a logarithm"],
)
def test_what_is_computed_on_the_way_may_overflow(layer: nn.Module) -> None:
    """The values of the layer are finite in float32, and what it computes them from is not."""
    network = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(2))
    size = 1.5e38 if isinstance(layer, nn.AvgPool2d) else 95.0
    x = torch.full((1, 1, 2, 2), 1.0)
    scaled = nn.Sequential(nn.Conv2d(1, 1, 1), *network)
    scaled(x)
    weights = {name: np.zeros((1, *value.shape), "f4") for name, value in scaled.named_parameters()}
    weights["0.weight"] += size
    weights["3.weight"][0, 0] = 1 / size / 10
    weights["3.bias"][0, 0] = 0.5
    predictive = bb.Predictive(scaled, weights)
    assert not predictive.logits(x).isfinite().all()
    assert not Crown().prove(predictive, [0], x, torch.tensor([0]), bb.Threat(epsilon=0.0)).certified.any()
    exact = bb.Predictive(scaled, {name: value.astype("f8") for name, value in weights.items()})
    assert Crown().prove(exact, [0], x.double(), torch.tensor([0]), bb.Threat(epsilon=0.0)).certified.all()


def test_batch_normalisation_with_a_weight_of_zero_is_bounded() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    weights = {name: np.ones((1, *value.shape), "f4") for name, value in network.named_parameters()}
    weights["1.weight"] *= 0
    weights["2.bias"][0, 1] = 0
    proof = Crown().prove(
        bb.Predictive(network, weights),
        [0],
        torch.rand(3, 2),
        torch.zeros(3, dtype=torch.int64),
        bb.Threat(epsilon=0.1),
    )
    assert proof.certified.all()
