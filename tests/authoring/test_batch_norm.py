"""Statistics of batch norm for each draw are those of what enters the layer at the training inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.authoring import batch_norm, recalibrated
from bnnbench.errors import ContractBreach, Incompatible

X = torch.rand(23, 4, generator=torch.Generator().manual_seed(0))
DATA = bb.Data(train=(X, np.arange(23) % 3), test=(X, np.arange(23) % 3), classes=3)
TINY = {
    "bayes-by-backprop": {"epochs": 2},
    "pyro-hmc": {"warmup": 1, "leapfrog_steps": 2},
    "numpyro-hmc": {"warmup": 1, "leapfrog_steps": 2},
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(), nn.Linear(5, 3)).eval()


def entering(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """What enters the batch norm of `network` in each draw, (S, N, 5)."""
    return torch.einsum("ni,soi->sno", x, weights["0.weight"]) + weights["0.bias"][:, None]


@pytest.mark.parametrize("together", [1000, 7, 1])
def test_the_statistics_of_a_draw_are_those_of_its_inputs(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    monkeypatch.setattr(batch_norm, "TOGETHER", together)
    template = network()
    arrays = {
        name: np.random.default_rng(0).normal(size=(2, 3, *value.shape)).astype("f4")
        for name, value in template.named_parameters()
    }
    shared = {name: value.clone() for name, value in template.named_buffers()}
    draws = recalibrated(bb.Draws(arrays, shared=shared, diagnostics={"seconds": 1.0}), template, X)
    assert (draws.chains, draws.per_chain) == (2, 3)
    assert draws.shared.keys() == {"1.num_batches_tracked"}
    flat = draws.flat()
    inside = entering({name: torch.from_numpy(array) for name, array in flat.items()}, X).numpy()
    assert np.allclose(flat["1.running_mean"], inside.mean(1), atol=1e-5)
    assert np.allclose(flat["1.running_var"], inside.var(1, ddof=1), rtol=1e-4)
    assert all(np.array_equal(draws.arrays[name], array) for name, array in arrays.items())
    assert "recalibrated" in draws.diagnostics["held_fixed"]
    assert torch.equal(template.state_dict()["1.running_mean"], torch.zeros(5))


def test_layers_behind_others_have_the_statistics_of_training() -> None:
    """In train mode with all inputs in one batch, torch gathers the same."""
    torch.manual_seed(0)
    deep = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)),
        nn.Conv2d(1, 3, 2, padding=1),
        nn.BatchNorm2d(3, momentum=1.0),
        nn.ReLU(),
        nn.Conv2d(3, 2, 2),
        nn.BatchNorm2d(2, momentum=1.0, affine=False),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    draws = bb.Draws({name: value.detach()[None, None] for name, value in deep.named_parameters()})
    found = recalibrated(draws, deep.eval(), X)
    deep.train()(X)
    for name in ("2.running_mean", "2.running_var", "5.running_mean", "5.running_var"):
        assert np.allclose(found.arrays[name][0, 0], deep.state_dict()[name], atol=1e-5)


@pytest.mark.integration
@pytest.mark.parametrize("name", TINY)
def test_posteriors_give_each_draw_its_own_statistics(tmp_path: Path, name: str) -> None:
    frozen = bb.fit(bb.posterior(name, draws=4, **TINY[name]), network(), DATA)
    found = bb.fit(bb.posterior(name, draws=4, batch_norm="recalibrated", **TINY[name]), network(), DATA)
    assert "1.running_mean" in frozen.shared
    assert all(torch.equal(value, found.draws[key]) for key, value in frozen.draws.items())
    inside = entering(found.draws, X)
    assert torch.allclose(found.draws["1.running_mean"], inside.mean(1), atol=1e-5)
    assert torch.allclose(found.draws["1.running_var"], inside.var(1), rtol=1e-4)
    normal = (inside - inside.mean(1, keepdim=True)) / (inside.var(1, keepdim=True) + 1e-5).sqrt()
    hidden = torch.tanh(normal * found.draws["1.weight"][:, None] + found.draws["1.bias"][:, None])
    logits = torch.einsum("sni,soi->sno", hidden, found.draws["4.weight"]) + found.draws["4.bias"][:, None]
    assert torch.allclose(found.draw_log_probs(X), logits.log_softmax(-1), atol=1e-4)
    assert "recalibrated on the training inputs" in bb.posterior_card(found, DATA)["held_fixed"]
    found.save(tmp_path / "draws.safetensors")
    assert torch.equal(bb.load(tmp_path / "draws.safetensors", network()).log_probs(X), found.log_probs(X))
    saved = bb.fit(bb.posterior("saved", draws=4, path=str(tmp_path / "draws.safetensors")), network(), DATA)
    assert torch.equal(saved.log_probs(X), found.log_probs(X))


@pytest.mark.integration
@pytest.mark.parametrize("name", TINY)
def test_the_default_is_no_part_of_the_identity(name: str) -> None:
    assert "batch_norm" not in bb.posterior(name).identity()["parameters"]
    assert bb.posterior(name, batch_norm="frozen").identity() == bb.posterior(name).identity()
    other = bb.posterior(name, batch_norm="recalibrated").identity()["parameters"]
    assert other == bb.posterior(name).identity()["parameters"] | {"batch_norm": "recalibrated"}


def test_without_batch_norm_the_draws_stay_as_they_are() -> None:
    plain = nn.Linear(4, 3)
    draws = bb.Draws({name: value.detach()[None, None] for name, value in plain.named_parameters()})
    assert recalibrated(draws, plain, X) is draws


def test_running_statistics_that_cannot_be_estimated_are_refused() -> None:
    other = nn.Sequential(nn.Unflatten(1, (2, 2)), nn.InstanceNorm1d(2, track_running_stats=True), nn.Flatten())
    with pytest.raises(Incompatible, match=r"layer '1' \(InstanceNorm1d\) keeps running statistics"):
        recalibrated(bb.Draws({"w": np.zeros((1, 1, 1))}), other, X)


def test_a_sampler_that_gives_no_data_is_told() -> None:
    from bnnbench.authoring import Chain, HamiltonianSampler

    class Own(HamiltonianSampler):
        pass

    with pytest.raises(ContractBreach, match=r"write record.draws\(network, data\)"):
        Chain(Own(batch_norm="recalibrated"), 0, 0, lambda done, total, note="": None).draws(network())
