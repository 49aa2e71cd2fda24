"""The bundled networks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import bnnbench as bb


def data(*shape: int, classes: int = 10) -> bb.Data:
    pair = (np.zeros((2, *shape), "f4"), np.array([0, classes - 1]))
    return bb.Data(train=pair, test=pair)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("activation", ["relu", "leaky-relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("hidden", [(7,), (7, 5, 3, 4, 6)])
def test_fully_connected_networks_have_the_weights_of_their_widths(hidden: tuple[int, ...], activation: str) -> None:
    built = bb.network("fc", hidden=hidden, activation=activation).build(data(1, 4, 3))
    widths = (12, *hidden, 10)
    assert count(built) == sum((a + 1) * b for a, b in itertools.pairwise(widths))
    assert built(torch.rand(5, 1, 4, 3)).shape == (5, 10)
    kind = {"relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[activation]
    assert [type(module) for module in built] == [nn.Flatten, *[nn.Linear, kind] * len(hidden), nn.Linear]


def test_depth_and_width_have_bounds() -> None:
    for hidden in ((), (1,) * 6, (0,)):
        with pytest.raises(ValueError):
            bb.network("fc", hidden=hidden)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 16, 16), (2, 17, 23)])
def test_convolutional_networks_fit_their_images(shape: tuple[int, ...]) -> None:
    built = bb.network("conv", hidden=6).build(data(*shape))
    assert built(torch.rand(3, *shape)).shape == (3, 10)
    if shape == (1, 28, 28):
        # 28 -> 24 -> 12 -> 8 -> 7.
        assert count(built) == (25 + 1) * 32 + (25 * 32 + 1) * 6 + (6 * 49 + 1) * 10


def test_the_convolutional_network_is_the_papers() -> None:
    built = bb.network("conv", hidden=6, activation="tanh").build(data(1, 28, 28))
    first, _, pool, second, _, last, _, linear = built
    kinds = [nn.Conv2d, nn.Tanh, nn.MaxPool2d, nn.Conv2d, nn.Tanh, nn.MaxPool2d, nn.Flatten, nn.Linear]
    assert [type(layer) for layer in built] == kinds
    assert (first.out_channels, first.kernel_size, first.stride, first.padding) == (32, (5, 5), (1, 1), (0, 0))
    assert (second.out_channels, second.kernel_size, second.stride, second.padding) == (6, (5, 5), (1, 1), (0, 0))
    assert (pool.kernel_size, pool.stride, last.kernel_size, last.stride) == (2, 2, 2, 1)
    assert linear.out_features == 10


def test_a_network_built_twice_is_the_same_and_no_global_state_is_touched() -> None:
    class Own(bb.Network):
        """For this test: a module whose parameter has no `reset_parameters`."""

        def build(self, data: bb.Data) -> nn.Module:
            module = nn.Sequential(nn.Flatten())
            module.register_parameter("offset", nn.Parameter(torch.rand(3)))
            return module

    state = torch.get_rng_state()
    first, again = (Own().build(data(2)) for _ in range(2))
    assert torch.equal(first.offset, again.offset)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_convolution_on_points_or_tiny_images_is_incompatible() -> None:
    with pytest.raises(bb.Incompatible, match="images"):
        bb.network("conv").build(data(2))
    with pytest.raises(bb.Incompatible, match="16x16 pixels or more, not 8x8"):
        bb.network("conv").build(data(1, 8, 8))
