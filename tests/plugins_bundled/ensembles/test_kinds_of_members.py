"""Ensembles and mean networks of every kind of fit: a member's functions and figures are those of its fit alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bnnbench_plugins.ensembles.ensembles import BootstrapEnsemble, DeepEnsemble, MultiSwag
from bnnbench_plugins.ensembles.one_network import MeanNetwork
from torch import nn

import bnnbench as bb
from bnnbench.authoring import member_seeds

KINDS: dict[str, dict[str, Any]] = {
    "laplace": {"use": "laplace", "epochs": 2, "draws": 3},
    "linearised laplace": {"use": "laplace", "epochs": 2, "draws": 3, "weights": "all"},
    "mc-dropout": {"use": "mc-dropout", "epochs": 2, "draws": 3},
    "swag": {"use": "swag", "epochs": 2, "collect_epochs": 3, "draws": 3},
    "gaussian-process": {"use": "gaussian-process", "draws": 3, "inducing": 20, "evidence_points": 20},
    "nngp": {"use": "nngp", "draws": 3, "inducing": 20, "evidence_points": 20, "width": 16},
}


def two_classes() -> bb.Data:
    rng = np.random.default_rng(3)
    x = rng.uniform(size=(40, 2))
    return bb.Data(train=(x, (x.sum(1) > 1).astype(int)), test=(x[:8], (x[:8].sum(1) > 1).astype(int)))


def network(kind: str) -> nn.Module:
    between = [] if kind == "nngp" else [nn.BatchNorm1d(6)]
    return nn.Sequential(nn.Linear(2, 6), *between, nn.Tanh(), nn.Linear(6, 2)).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_the_functions_of_a_member_are_those_of_its_fit(kind: str, tmp_path: Path) -> None:
    data, template = two_classes(), network(kind)
    x, y = data.test
    ensemble = bb.fit(MultiSwag(of=KINDS[kind], members=2), template, data, seed=4, device="cpu")
    of = MultiSwag(of=KINDS[kind]).of
    alone = [bb.fit(of, template, data, seed=member_seeds(4, member)[0], device="cpu").logits(x) for member in (0, 1)]
    assert not torch.allclose(alone[0], alone[1])
    torch.testing.assert_close(ensemble.logits(x), torch.cat(alone), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ensemble.logits(x, [4, 0, 5]), ensemble.logits(x)[[4, 0, 5]], rtol=1e-5, atol=1e-5)
    ensemble.save(tmp_path / "draws.safetensors")
    assert torch.equal(bb.load(tmp_path / "draws.safetensors", template).logits(x), ensemble.logits(x))
    assert ensemble.gradient(x, y, "expected-loss").isfinite().all()


def test_the_figures_of_members_are_not_added() -> None:
    """Each member has its own loss; the time is that of all."""
    data, template = two_classes(), network("sgd")
    of = DeepEnsemble(of={"use": "sgd", "epochs": 2}).of
    found = DeepEnsemble(of=of, members=3).fit(template, data, seed=4).diagnostics
    alone = [of.fit(template, data, seed=member_seeds(4, member)[0]).diagnostics for member in range(3)]
    assert list(found["loss"]) == [one["loss"] for one in alone]
    assert np.ndim(found["seconds"]) == 0


def test_an_ensemble_may_have_fewer_draws_where_its_members_may() -> None:
    assert BootstrapEnsemble(of="saved").draws_at_most
    assert not BootstrapEnsemble(of="sgd").draws_at_most


@pytest.mark.parametrize("kind", ["gaussian-process", "nngp"])
def test_functions_that_are_not_of_weights_have_no_mean_network(kind: str) -> None:
    with pytest.raises(bb.Incompatible, match=r"draws of the other fit \(of\) are not weights of the network"):
        MeanNetwork(of=KINDS[kind]).fit(network(kind), two_classes(), seed=0)
