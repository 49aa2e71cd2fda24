"""Expressions of buffers have the values of the arrays that are given, or other buffers are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax_agreement import arrays_of
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.authoring import JaxNetwork

Forward = Callable[[Any, Tensor], Tensor]


class Normalised(nn.Module):
    """A linear layer of inputs that a function of the buffers has normalised."""

    def __init__(self, function: Forward, mean: float, std: float) -> None:
        super().__init__()
        self.function, self.layer = function, nn.Linear(3, 2)
        self.register_buffer("mean", torch.full((3,), mean))
        self.register_buffer("std", torch.full((3,), std))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.function(self, x))


FOLLOWED: dict[str, Forward] = {
    "indexing": lambda net, x: (x - net.mean[None, :]) / net.std[None],
    "methods": lambda net, x: (x - net.mean.view(1, -1)) / net.std.reshape(1, 3),
    "arithmetic": lambda net, x: x * (1 / net.std) + (-net.mean / net.std),
    "a method of ATen operations": lambda net, x: (x - net.mean) * net.std.rsqrt(),
}
X = np.linspace(0, 1, 12, dtype="f4").reshape(4, 3)


@pytest.mark.parametrize("name", FOLLOWED)
def test_buffers_of_another_module_give_its_outputs(name: str) -> None:
    network, other = Normalised(FOLLOWED[name], 0.5, 0.5), Normalised(FOLLOWED[name], 0.2, 0.05)
    with torch.no_grad():
        expected = other(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(JaxNetwork(network)(arrays_of(other), jnp.asarray(X)), expected, rtol=1e-5, atol=1e-5)


def branch(net: Any, x: Tensor) -> Tensor:
    """Inputs less the mean or plus it, by the values of a buffer."""
    return x - net.mean if net.std.sum() > 1 else x + net.mean


def test_a_branch_by_a_buffer_holds_for_the_module_s_own_buffers_alone() -> None:
    network, other = Normalised(branch, 0.5, 0.5), Normalised(branch, 0.2, 0.05)
    with torch.no_grad():
        expected = network(torch.from_numpy(X)).numpy()
    made, arrays = JaxNetwork(network), arrays_of(network)
    np.testing.assert_allclose(made(arrays, jnp.asarray(X)), expected, rtol=1e-5, atol=1e-5)
    weights = {name: arrays[name] for name, _ in network.named_parameters()}
    compiled = jax.jit(lambda own: made({**arrays, **own}, jnp.asarray(X)))
    np.testing.assert_allclose(compiled(weights), expected, rtol=1e-5, atol=1e-5)
    for run in (made, jax.jit(made)):
        with pytest.raises(bb.Incompatible, match=r"depends on values, in line .*net\.std\.sum") as caught:
            run(arrays_of(other), jnp.asarray(X))
        assert "'mean' may differ" in str(caught.value.__cause__)
