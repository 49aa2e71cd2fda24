"""Whether torch and JAX agree about a module."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import Tensor, nn

from bnnbench.authoring import JaxNetwork


class Call(nn.Module):
    """A function of the inputs as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def arrays_of(module: nn.Module) -> dict[str, jax.Array]:
    named = [*module.named_parameters(), *module.named_buffers()]
    return {name: jnp.asarray(tensor.detach().numpy()) for name, tensor in named}


def assert_agreement(module: nn.Module, x: Tensor) -> None:
    """Outputs and the gradient of a random projection agree to 1e-5 of their size."""
    module.eval()
    network, arrays = JaxNetwork(module), arrays_of(module)
    x = x.requires_grad_()
    expected = module(x)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (slope,) = torch.autograd.grad((expected * direction).sum(), x)
    points = jnp.asarray(x.detach().numpy())

    def projected(at: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = network(arrays, at)
        return (values * direction.numpy()).sum(), values

    # As samplers run it; operation by operation, each would be compiled for itself.
    found_slope, found = jax.jit(jax.grad(projected, has_aux=True))(points)
    for torch_value, jax_value in ((expected, found), (slope, found_slope)):
        reference = torch_value.detach().numpy()
        assert jax_value.shape == reference.shape
        assert np.abs(np.asarray(jax_value) - reference).max() <= 1e-5 * max(1.0, np.abs(reference).max())
