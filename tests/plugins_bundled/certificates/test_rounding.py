"""Proofs hold for predictives as float32 computes them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bnnbench_plugins.certificates import ensemble_bounds, rounding
from bnnbench_plugins.certificates.crown import Crown
from bnnbench_plugins.certificates.exact import Exact
from bnnbench_plugins.certificates.interval import IntervalBounds
from random_networks import margin

import bnnbench as bb

CERTIFICATES = (IntervalBounds(), Crown(), Exact(inputs_at_most=1000))


def cancelling(seed: int) -> tuple[bb.Predictive, torch.Tensor, torch.Tensor]:
    """A network whose large weights cancel, and an input and label for which only exact arithmetic is right."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(0.1, 0.9, size=200).astype("f4")
    weight = (1e4 * generator.normal(size=(1, 200))).astype("f4")
    hidden = np.float32(-(weight.astype(np.float64) @ x.astype(np.float64))[0])
    network = torch.nn.Sequential(torch.nn.Linear(200, 1), torch.nn.Linear(1, 2))
    weights = {
        "0.weight": weight[None],
        "0.bias": np.array([[hidden]], "f4"),
        "1.weight": np.array([[[1.0], [-1.0]]], "f4"),
        "1.bias": np.zeros((1, 2), "f4"),
    }
    predictive = bb.Predictive(network, weights)
    exact = bb.Predictive(network, {name: array.astype("f8") for name, array in weights.items()})
    image = torch.from_numpy(x)[None]
    return predictive, image, exact.log_probs(image.double()).argmax(1)


def test_rounding_that_changes_the_class_is_allowed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    threat, planted = bb.Threat(epsilon=0.0), []
    for seed in range(40):
        predictive, x, y = cancelling(seed)
        if margin(predictive, x, y) <= 0:
            planted.append((predictive, x, y))
    assert len(planted) > 5
    for certificate in CERTIFICATES:
        assert not any(certificate.prove(one, [0], x, y, threat).certified.any() for one, x, y in planted)
    # Without the margins, and with them made for exact arithmetic, the same images are "proven".
    monkeypatch.setattr(rounding, "unit_of", lambda dtype: 1e-18)
    monkeypatch.setattr(ensemble_bounds, "check_on_trial", lambda *_: None)
    monkeypatch.setattr("bnnbench_plugins.certificates.region.torch.finfo", lambda dtype: np.finfo(np.float64))
    naive = sum(int(Crown().prove(one, [0], x, y, threat).certified.sum()) for one, x, y in planted)
    assert naive == len(planted)


def test_the_error_of_the_softmax_and_of_the_mean_is_bounded() -> None:
    generator = torch.Generator().manual_seed(0)
    for draws, classes, scale in ((1, 2, 1.0), (1, 10, 30.0), (7, 3, 5.0), (50, 10, 10.0), (300, 4, 100.0)):
        logits = scale * torch.randn(draws, 400, classes, generator=generator) + 100 * scale
        computed = logits.log_softmax(-1).logsumexp(0) - math.log(draws)
        blocks = logits.log_softmax(-1)
        total = blocks[0]
        for block in blocks[1:]:
            total = torch.logaddexp(total, block)
        exact = logits.double().softmax(-1).mean(0)
        bound = rounding.of_probabilities(draws, classes, 2.0**-24)
        for one in (computed, total - math.log(draws)):
            error = (one.double().exp() - exact)[:, :, None] - (one.double().exp() - exact)[:, None]
            assert error.abs().max() <= bound
        assert bound < 5e-3


def test_bounds_of_float64_predictives_are_nearly_exact() -> None:
    network = torch.nn.Linear(3, 2).double()
    weights = {"weight": np.array([[[1.0, 2.0, -1.0], [0.0, 0.0, 0.0]]]), "bias": np.zeros((1, 2))}
    predictive = bb.Predictive(network, weights)
    x = torch.tensor([[0.5, 0.5, 0.5]], dtype=torch.float64)
    bound = Crown().prove(predictive, [0], x, torch.tensor([0]), bb.Threat(epsilon=0.1)).bound
    assert bound is not None
    assert bound.item() == pytest.approx(math.tanh((1.0 - 0.4) / 2), abs=1e-9)
    assert bound.item() < math.tanh((1.0 - 0.4) / 2)


def test_gamma_bounds_sums_of_products_in_any_order() -> None:
    generator = torch.Generator().manual_seed(0)
    for size in (3, 100, 5000):
        a, b = torch.randn(2, 50, size, generator=generator)
        exact = (a.double() * b.double()).sum(1)
        limit = rounding.gamma(size + 2, 2.0**-24) * (a.double() * b.double()).abs().sum(1)
        for computed in ((a * b).sum(1), torch.einsum("ns,ns->n", a, b), (a * b).cumsum(1)[:, -1]):
            assert ((computed.double() - exact).abs() <= limit).all()
    assert rounding.gamma(2**25, 2.0**-24) == math.inf


class TenthOf(torch.nn.Module):
    """A linear layer of a tenth of the input, which no binary floating type holds exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.last = torch.nn.Linear(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x * 0.1)


@pytest.mark.parametrize(("dtype", "other"), [("f8", "f4"), ("f4", "f8")])
def test_constants_are_those_of_the_type_in_which_the_predictive_computes(dtype: str, other: str) -> None:
    """The boundary lies between the products with the two roundings of the constant."""
    x, labels = torch.ones(1, 1, dtype=torch.float64), (torch.tensor([0]), torch.tensor([1]))
    scale, differs = 1e6, 0
    for share in np.linspace(0.1, 0.9, 9):
        ends = scale * float(np.float32(0.1)), scale * 0.1
        bias = ends[0] + share * (ends[1] - ends[0])
        weights = {"last.weight": np.array([[[scale], [0.0]]]), "last.bias": np.array([[0.0, bias]])}
        made = {
            kind: bb.Predictive(TenthOf(), {k: v.astype(kind) for k, v in weights.items()}) for kind in ("f4", "f8")
        }
        predicted = {kind: int(one.log_probs(x).argmax(1)) for kind, one in made.items()}
        differs += predicted[dtype] != predicted[other]
        for certificate in CERTIFICATES:
            for y in labels:
                sure = certificate.prove(made[dtype], [0], x, y, bb.Threat(epsilon=0.0)).certified.item()
                assert not sure or predicted[dtype] == y.item()
    assert differs > 2
