"""Every posterior and attack on a CUDA GPU that is not there (`fake_gpu`): nothing leaves it, and nothing fails.

The numbers are those of the CPU. Certificates, measures and the GPU of a fit are those of a benchmarks file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fake_gpu import fake_gpu
from torch import nn

import bnnbench as bb

GPU = torch.device("cuda", 0)
SHORT: dict[str, dict[str, Any]] = {
    "sgd": {"epochs": 1},
    "adversarial-sgd": {"epochs": 1},
    "bayes-by-backprop": {"epochs": 1, "draws": 3},
    "gaussian-vi": {"epochs": 1, "draws": 3},
    "gaussian-vi@full": {"epochs": 1, "draws": 2, "covariance": "full"},
    "swag": {"epochs": 1, "collect_epochs": 2, "draws": 3},
    "mc-dropout": {"epochs": 1, "draws": 3},
    "laplace": {"draws": 3},
    "laplace@all": {"draws": 2, "weights": "all", "epochs": 1},
    "gaussian-process": {"draws": 3},
    "nngp": {"draws": 3},
    "pyro-hmc": {"draws": 4, "warmup": 4, "leapfrog_steps": 2, "chains": 2, "adapt_mass_matrix": True},
}
INTEGRATION: dict[str, dict[str, Any]] = {
    "numpyro-hmc": {"draws": 4, "warmup": 2, "leapfrog_steps": 2, "chains": 2},
    "deep-ensemble": {},
    "anchored-ensemble": {},
    "last-layer": {},
}
PLAIN = ("laplace", "laplace@all", "nngp", "pyro-hmc")
"""Those that need a form, such as a curvature, that not all layers have."""
ATTACKS: dict[str, dict[str, Any]] = {
    "fgsm": {},
    "pgd": {"steps": 3},
    "apgd": {"steps": 3},
    "mi-fgsm": {"steps": 2},
    "random-sign": {"tries": 2},
    "square": {"queries": 10},
    "nes": {"steps": 1},
    "boundary": {"steps": 1},
    "deepfool": {},
    "fmn": {"steps": 5},
    "carlini-wagner": {"steps": 3},
    "transfer": {},
}
FILE = """
device: auto
evaluate: {images: 6, draws: 4}
epsilons: [0.02]
datasets: {digits: {train_size: 100}}
networks:
  own: {use: "net.py:Norm"}
posteriors:
  mc-dropout: {epochs: 1, draws: 4}
attacks: {fgsm: {}}
certificates: {crown: {}, interval: {}, posterior-probability: {}}
measures: {predictions: {}, gradients: {}, stability: {samples: 2}, binarisation: {}}
"""
NETWORK = """
import torch
from torch import nn

class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        layers = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2), nn.Flatten()
        self.body = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *layers, nn.Linear(18, 10))

    def forward(self, x):
        return self.body(x.flatten(1))
"""


def sample() -> bb.Data:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(24, 1, 6, 6, generator=generator)
    y = (x[:, 0, 0, 0] > 0.5).long()
    return bb.Data(train=(x, y), test=(x[:6], y[:6]), classes=2)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(32, 2))


def plain() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 5), nn.Tanh(), nn.Linear(5, 2))


def agree_on_both(name: str, parameters: dict[str, Any], module: nn.Module) -> None:
    """A fit on the GPU lies there, and has the draws and predictions of one on the CPU."""
    data, posterior = sample(), bb.posterior(name.partition("@")[0], **parameters)
    expected = bb.fit(posterior, module, data, seed=1, device="cpu")
    with fake_gpu():
        fitted = bb.fit(posterior, module, data, seed=1, device="auto")
        assert fitted.device == GPU
        found = fitted.log_probs(data.test[0].to(GPU))
        assert found.device == GPU
        assert torch.equal(found.cpu(), fitted.log_probs(data.test[0]).cpu())
        assert torch.allclose(found.cpu(), expected.log_probs(data.test[0]), atol=1e-4)


@pytest.mark.parametrize("name", SHORT)
def test_a_posterior_is_fitted_on_the_gpu(name: str) -> None:
    agree_on_both(name, SHORT[name], plain() if name in PLAIN else network())


@pytest.mark.integration
@pytest.mark.parametrize("name", INTEGRATION)
def test_a_slower_posterior_is_fitted_on_the_gpu(name: str) -> None:
    agree_on_both(name, INTEGRATION[name], plain())


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gives_the_same_on_the_gpu(name: str) -> None:
    data, (x, y) = sample(), sample().test
    posterior, attack = bb.posterior("bayes-by-backprop", epochs=1, draws=3), bb.attack(name, **ATTACKS[name])
    threat = bb.Threat(epsilon=0.5, norm="l2") if name == "carlini-wagner" else bb.Threat(epsilon=0.1)
    expected = attack(bb.fit(posterior, network(), data, seed=1, device="cpu"), x, y, threat, seed=2)
    with fake_gpu():
        fitted = bb.fit(posterior, network(), data, seed=1, device="cuda")
        there = attack(fitted, x.to(GPU), y.to(GPU), threat, seed=2)
        here = attack(fitted, x, y, threat, seed=2)
        assert (there.device, here.device) == (GPU, torch.device("cpu"))
        assert torch.equal(there.cpu(), here)
    assert torch.allclose(here, expected, atol=1e-4)


@pytest.mark.integration
def test_a_benchmarks_file_runs_on_the_gpu(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.yaml").write_text(FILE)
    (tmp_path / "net.py").write_text(NETWORK)
    with fake_gpu():
        results = bb.run(tmp_path / "benchmarks.yaml", store=tmp_path / "store", jobs=0)
    assert [(cell.spec.name, cell.reason) for cell in results.cells if cell.status != "ok"] == []


def test_the_gpu_refuses_what_a_real_one_refuses() -> None:
    with fake_gpu():
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert (there * 2).device == GPU
        assert (there.sum() + torch.tensor(1.0)).item() == 4.0
        with pytest.raises(RuntimeError, match="at least two devices"):
            there + here
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        with pytest.raises(RuntimeError, match="device type for generator"):
            torch.rand(3, device="cuda", generator=torch.Generator())
        with pytest.raises(RuntimeError, match="at least two devices"):
            nn.Linear(3, 2).to("cuda")(here)
        assert torch.equal(there.cpu(), here)
