"""The network of LeCun et al. (1998)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from jax_agreement import assert_agreement
from torch import nn

import bnnbench as bb


def data(*shape: int, images: int = 4) -> bb.Data:
    x = np.random.default_rng(0).uniform(size=(images, *shape)).astype("f4")
    pair = (x, np.arange(images) % 10)
    return bb.Data(train=pair, test=pair, classes=10)


def test_its_layers_and_weights_are_the_papers() -> None:
    built = bb.network("lenet").build(data(1, 28, 28))
    # Table of the modern form: 6 (25 + 1), 16 (150 + 1), 120 (400 + 1), 84 (120 + 1), 10 (84 + 1).
    counts = [sum(weight.numel() for weight in layer.parameters()) for layer in built]
    assert [count for count in counts if count] == [156, 2416, 48120, 10164, 850]
    assert "61,706 weights" in " ".join((bb.network("lenet").__doc__ or "").split())
    assert sum(counts) == 61706
    assert [layer.kernel_size for layer in built if isinstance(layer, nn.AvgPool2d)] == [2, 2]


@pytest.mark.parametrize("shape", [(1, 12, 12), (1, 28, 28), (3, 32, 32), (2, 13, 19)])
def test_it_fits_its_images_and_runs_in_jax(shape: tuple[int, ...]) -> None:
    built = bb.network("lenet", activation="relu").build(data(*shape))
    assert built(torch.rand(3, *shape)).shape == (3, 10)
    assert_agreement(bb.initialise(built, 3), torch.rand(2, *shape))


def test_a_width_multiplies_channels_and_units() -> None:
    built = bb.network("lenet", width=2).build(data(1, 12, 12))
    assert [weight.shape[0] for name, weight in built.named_parameters() if name.endswith("weight")] == [
        12,
        32,
        240,
        168,
        10,
    ]


def test_smaller_images_and_points_are_incompatible() -> None:
    with pytest.raises(bb.Incompatible, match=r"12x12 pixels or more, not 8x8; resnet-small takes"):
        bb.network("lenet").build(data(1, 8, 8))
    with pytest.raises(bb.Incompatible, match="lenet needs images"):
        bb.network("lenet").build(data(2))


@pytest.mark.integration
@pytest.mark.parametrize(("name", "shape"), [("lenet", (1, 12, 12)), ("resnet-small", (1, 8, 8))])
def test_numpyro_makes_a_transition(name: str, shape: tuple[int, ...]) -> None:
    sampler = bb.posterior("numpyro-hmc", draws=1, warmup=0, leapfrog_steps=1, step_size=1e-5)
    fitted = bb.fit(sampler, bb.network(name).build(data(*shape)), data(*shape))
    assert torch.isfinite(fitted.log_probs(data(*shape).test[0])).all()
