"""The networks with group normalisation: shapes, weights, JAX, ensembles, and every posterior."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from bnnbench_plugins.networks.residual_block import ResidualBlock
from torch import nn

import bnnbench as bb
from bnnbench.authoring import JaxNetwork

SMALL = {"resnet-small": {"width": 4, "groups": 2}, "conv-groupnorm": {"width": 4, "groups": 2}}
"""Parameters of small networks, by name."""


def data(*shape: int, classes: int = 10, images: int = 2) -> bb.Data:
    x = np.random.default_rng(0).uniform(size=(images, *shape)).astype("f4")
    return bb.Data(train=(x, np.arange(images) % classes), test=(x, np.arange(images) % classes), classes=classes)


def small(name: str, *shape: int, **parameters: Any) -> nn.Module:
    return bb.network(name, **(SMALL[name] | parameters)).build(data(*shape))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *(("resnet-small", shape) for shape in ((3, 32, 32), (1, 28, 28), (3, 9, 14), (2, 1, 5), (1, 1, 1))),
        *(("conv-groupnorm", shape) for shape in ((3, 32, 32), (1, 28, 28), (3, 9, 14), (2, 8, 8))),
    ],
)
def test_networks_fit_their_images(name: str, shape: tuple[int, ...]) -> None:
    assert small(name, *shape)(torch.rand(3, *shape)).shape == (3, 10)


@pytest.mark.parametrize("name", SMALL)
def test_documented_numbers_of_weights_are_those_of_the_defaults(name: str) -> None:
    component = bb.network(name)
    count = sum(weight.numel() for weight in component.build(data(3, 32, 32)).parameters())
    assert f"there are {count:,} weights" in " ".join((component.__doc__ or "").split())


def test_the_residual_network_has_three_stages_that_halve_the_image() -> None:
    network = bb.network("resnet-small", width=4, groups=2, blocks=2).build(data(3, 20, 12))
    blocks = [block for block in network if isinstance(block, ResidualBlock)]
    assert [(block.first.in_channels, block.first.out_channels, block.first.stride[0]) for block in blocks] == [
        (4, 4, 1), (4, 4, 1), (4, 8, 2), (8, 8, 1), (8, 16, 2), (16, 16, 1),
    ]  # fmt: skip
    assert network[: len(network) - 3](torch.rand(1, 3, 20, 12)).shape == (1, 16, 5, 3)
    assert [isinstance(block.shortcut, nn.Identity) for block in blocks] == [True, True, False, True, False, True]


def test_a_block_that_adds_nothing_passes_its_input_on() -> None:
    block = ResidualBlock(4, 4, 1, 2, "relu")
    nn.init.zeros_(block.second_norm.weight)
    x = torch.rand(2, 4, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("name", SMALL)
def test_every_weight_is_drawn_from_the_seed_and_training_computes_the_same(name: str) -> None:
    network = small(name, 3, 8, 8)
    other = small(name, 3, 8, 8)
    with torch.no_grad():
        for weight in other.parameters():
            weight.fill_(7)
    first, again = (bb.initialise(template, 3) for template in (network, other))
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key])
    x = torch.rand(5, 3, 8, 8)
    assert torch.equal(first.train()(x), first.eval()(x))
    assert not torch.equal(first(x), bb.initialise(network, 4)(x))
    assert not list(network.buffers())


@pytest.mark.integration
@pytest.mark.parametrize("name", SMALL)
def test_jax_computes_the_same_logits_and_gradients(name: str) -> None:
    # Smooth: rounding may put an input of a rectifier on either side of zero, where two right gradients differ.
    network = bb.initialise(small(name, 3, 9, 8, activation="tanh"), 1)
    x = torch.rand(4, 3, 9, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    arrays = {key: jnp.asarray(weight.detach().numpy()) for key, weight in network.named_parameters()}
    traced, points = JaxNetwork(network), jnp.asarray(x.detach().numpy())
    expected = network(x)
    (slope,) = torch.autograd.grad(expected.square().sum(), x)

    @jax.jit
    def both(at: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits, pull = jax.vjp(lambda inputs: traced(arrays, inputs), at)
        return logits, pull(2 * logits)[0]

    logits, found = both(points)
    assert np.allclose(logits, expected.detach(), atol=2e-5)
    assert np.abs(np.asarray(found) - slope.numpy()).max() < 1e-4 * max(1.0, float(slope.abs().max()))


@pytest.mark.parametrize("images", [1, 40])
@pytest.mark.parametrize("name", SMALL)
def test_an_ensemble_evaluates_and_differentiates_each_draw(name: str, images: int) -> None:
    # Smooth, for the same reason.
    network = small(name, 3, 8, 8, activation="tanh")
    members = [bb.initialise(network, seed) for seed in range(3)]
    draws = {key: torch.stack([member.state_dict()[key] for member in members]) for key in network.state_dict()}
    predictive = bb.Predictive(network, draws)
    x, y = torch.rand(images, 3, 8, 8), torch.arange(images) % 10
    each = torch.stack([member(x).log_softmax(-1) for member in members])
    assert torch.allclose(predictive.log_probs(x), each.logsumexp(0) - np.log(3), atol=1e-5)
    inputs = x.clone().requires_grad_()
    loss = -(torch.stack([member(inputs).log_softmax(-1) for member in members]).logsumexp(0) - np.log(3))
    (expected,) = torch.autograd.grad(loss.gather(1, y[:, None]).sum(), inputs)
    assert torch.allclose(predictive.gradient(x, y, "predictive-nll"), expected, atol=1e-5)


@pytest.mark.integration
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("posterior", "parameters"),
    [
        ("sgd", {"epochs": 2, "batch_size": 4}),
        ("bayes-by-backprop", {"epochs": 2, "batch_size": 4, "draws": 2}),
        pytest.param("numpyro-hmc", {"draws": 2, "warmup": 2, "leapfrog_steps": 2}, marks=pytest.mark.slow),
        pytest.param("numpyro-nuts", {"draws": 2, "warmup": 2, "max_tree_depth": 2}, marks=pytest.mark.slow),
        ("pyro-hmc", {"draws": 2, "warmup": 2, "leapfrog_steps": 2}),
    ],
)
def test_every_posterior_fits_them_and_attacks_follow(name: str, posterior: str, parameters: dict[str, Any]) -> None:
    known = data(3, 8, 8, classes=3, images=9)
    network = bb.network(name, **SMALL[name]).build(known)
    predictive = bb.fit(bb.posterior(posterior, **parameters), network, known, seed=1, device="cpu")
    outcome = bb.evaluate(predictive, bb.attack("pgd", steps=2), known, epsilon=0.1, images=9)
    assert 0 <= outcome.robust_accuracy <= outcome.clean_accuracy <= 1
    assert outcome.gradient_passes.min() > 0


def test_points_and_tiny_images_are_incompatible_and_groups_must_share_the_channels() -> None:
    for name in SMALL:
        with pytest.raises(bb.Incompatible, match=rf"{name} needs images \(channels, height, width\), .* \(2,\)"):
            bb.network(name).build(data(2))
        with pytest.raises(ValueError, match=r"width \(6\) must be a multiple of groups \(4\)"):
            bb.network(name, width=6, groups=4)
    with pytest.raises(bb.Incompatible, match="8x8 pixels or more, not 7x9"):
        bb.network("conv-groupnorm").build(data(3, 7, 9))
