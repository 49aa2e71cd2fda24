"""Where chains start, and what they say if their transitions diverge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from logistic import problem
from torch import nn

import bnnbench as bb
from bnnbench.authoring import Chain, FixedLength, HamiltonianSampler, fresh_network
from bnnbench.authoring.hamiltonian import advice
from bnnbench.authoring.random_streams import chain_seeds
from bnnbench.authoring.starts import DISPERSION
from bnnbench.core.draws import no_progress
from bnnbench.errors import ContractBreach


def start(network: nn.Module, seed: int = 0, chain: int = 0, **settings: Any) -> dict[str, torch.Tensor]:
    record = Chain(HamiltonianSampler(**settings), chain, seed, no_progress)
    return record.start(network, problem(2))[1]


@pytest.mark.parametrize("kind", ["dispersed", "prior", "trained"])
def test_a_start_is_that_of_its_seed_and_chain(kind: str) -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    first = start(network, start=kind)
    again, chain, seed = start(network, start=kind), start(network, start=kind, chain=1), start(network, 1, start=kind)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not network.training
    for name, weight in first.items():
        assert weight.dtype == torch.float32
        assert not weight.requires_grad
        assert torch.equal(weight, again[name])
        assert not torch.equal(weight, chain[name])
        assert not torch.equal(weight, seed[name])


def test_dispersed_weights_are_initial_ones_times_a_factor() -> None:
    network = nn.Linear(2, 3)
    initial = dict(fresh_network(network, chain_seeds(4, 2)[0]).named_parameters())
    for name, weight in start(network, seed=4, chain=2).items():
        assert torch.equal(weight, DISPERSION * initial[name].detach())


def test_a_start_from_the_prior_has_its_scale() -> None:
    """The standard deviation of 20,000 normals is within 4 standard errors, 2%."""
    weight = start(nn.Linear(100, 200), start="prior", prior_scale=0.3)["weight"]
    assert float(weight.std()) == pytest.approx(0.3, rel=0.02)
    assert abs(float(weight.mean())) < 4 * 0.3 / 20_000**0.5


def test_a_trained_start_fits_the_data_better_than_initial_weights() -> None:
    data, network = problem(2), nn.Linear(2, 2)

    def loss(weights: dict[str, torch.Tensor]) -> float:
        logits = torch.func.functional_call(network, weights, (data.train[0],))
        return float(nn.functional.cross_entropy(logits, data.train[1], reduction="sum").detach())

    trained = [start(network, start="trained", chain=chain) for chain in range(3)]
    initial = [dict(fresh_network(network, chain_seeds(0, chain)[0]).named_parameters()) for chain in range(3)]
    assert max(map(loss, trained)) < min(map(loss, initial))


def test_a_trained_start_needs_the_data_and_is_told() -> None:
    with pytest.raises(ContractBreach, match=r"write record.start\(network, data\)"):
        Chain(HamiltonianSampler(start="trained"), 0, 0, no_progress).start(nn.Linear(2, 2))
    settings = {"draws": 4, "chains": 2, "warmup": 1, "leapfrog_steps": 2}
    trained = bb.posterior("pyro-hmc", start="trained", **settings).fit(nn.Linear(2, 2), problem(2), seed=0)
    assert "500 steps of Adam" in trained.diagnostics["start"]
    other = bb.posterior("pyro-hmc", **settings).fit(nn.Linear(2, 2), problem(2), seed=0)
    assert "start" not in other.diagnostics


def told(diverging: float, acceptance: float = 0.9, step: float = 0.01, **settings: Any) -> str:
    """The advice to a sampler of whose transitions this share diverged."""
    divergences = np.arange(100).reshape(2, 50) < 100 * diverging
    diagnostics = {
        "divergences": divergences,
        "acceptance": np.full((2, 50), acceptance),
        "step_size": [step / 2, step],
    }
    return advice(HamiltonianSampler(**settings), diagnostics)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((0, {}), ""),
        ((1, {"warmup": 5}), "every transition diverged at step size 0.01: try step_size: 0.001, or warmup: 100"),
        ((1, {"adapt_step_size": False}), "try step_size: 0.001, or warmup: 100 with adapt_step_size: true"),
        ((1, {"warmup": 20}), "diverged at step size 0.01, after a warm-up of 20: try warmup: 80"),
        ((0.03, {"warmup": 20}), "3 of 100 transitions diverged at step size 0.01: try target_acceptance: 0.9"),
        ((0.03, {"target_acceptance": 0.9}), "try target_acceptance: 0.95"),
        ((0.03, {"target_acceptance": 0.99}), "try target_acceptance: 0.999"),
        ((0.03, {"warmup": 0}), "try step_size: 0.003, or warmup"),
    ],
)
def test_what_diverges_says_what_to_change(given: tuple[float, dict[str, Any]], expected: str) -> None:
    share, settings = given
    found = told(share, **settings)
    assert expected in found
    assert bool(found) == bool(expected)


def test_a_fixed_step_that_is_hardly_accepted_is_told() -> None:
    expected = "the mean acceptance is 0.05 at step size 0.01: try step_size: 0.001, or warmup: 100"
    assert told(0, acceptance=0.05, warmup=0).startswith(expected)
    assert not told(0, acceptance=0.05, warmup=100)


def test_the_advice_reaches_the_card() -> None:
    settings = {"draws": 8, "chains": 2, "warmup": 0, "step_size": 500.0}
    network = nn.Linear(2, 2)
    card = bb.posterior_card(bb.fit(bb.posterior("pyro-hmc", **settings), network, problem(2)), problem(2))
    assert card["level"] == "degenerate"
    assert "every transition diverged at step size 5e+02: try step_size: 50" in card["advice"]


def test_superchains_share_their_starts_and_nothing_else() -> None:
    settings = {"draws": 8, "chains": 4, "superchains": 2, "warmup": 2, "leapfrog_steps": 2}
    network = nn.Linear(2, 2)
    records = [Chain(FixedLength(**settings), chain, 0, no_progress) for chain in range(4)]
    starts = [record.start(network)[1]["weight"] for record in records]
    assert [[torch.equal(one, other) for other in starts] for one in starts] == [
        [True, True, False, False],
        [True, True, False, False],
        [False, False, True, True],
        [False, False, True, True],
    ]
    draws = bb.posterior("pyro-hmc", **settings).fit(network, problem(2), seed=0)
    assert draws.diagnostics["superchains"] == 2
    assert len({array.tobytes() for array in draws.arrays["weight"][:, 0]}) == 4
    with pytest.raises(ValueError, match=r"chains \(4\) must be a multiple of superchains \(3\)"):
        FixedLength(**settings | {"superchains": 3})
