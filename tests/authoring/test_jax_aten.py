"""JAX forms of ATen operations agree with torch in values and gradients, at kinks and ties too."""

from __future__ import annotations

from collections.abc import Callable

import corpus_functions
import corpus_images
import corpus_resizing
import corpus_sequences
import corpus_vectors
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from aten_pointwise import AT_GRID, AT_TIES, GRID, TIES
from aten_shaped import AT_RANDOM
from corpus import NETWORKS, made
from jax_agreement import Call
from torch import Tensor, nn

from bnnbench.authoring.jax_aten import AtenNetwork
from bnnbench.authoring.jax_aten_tables import ATEN, name_of

assert all(
    (corpus_functions, corpus_images, corpus_resizing, corpus_sequences, corpus_vectors)
)  # they enter their networks

CASES: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    **{name: (function, GRID) for name, function in AT_GRID.items()},
    **{name: (function, TIES) for name, function in AT_TIES.items()},
    **{
        name: (function, torch.randn(shape, generator=torch.Generator().manual_seed(0)))
        for name, (function, shape) in AT_RANDOM.items()
    },
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_agree_with_torch(name: str) -> None:
    function, x = CASES[name]
    network = AtenNetwork(Call(function), tuple(x.shape), np.float32)
    given = x.clone().requires_grad_()
    expected = function(given)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (slope,) = torch.autograd.grad((expected * direction).sum(), given)

    def projected(at: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = network({}, at)
        return (values * direction.numpy()).sum(), values

    found_slope, found = jax.jit(jax.grad(projected, has_aux=True))(jnp.asarray(x.numpy()))
    for torch_value, jax_value in ((expected, found), (slope, found_slope)):
        reference = torch_value.detach().numpy()
        assert jax_value.shape == reference.shape
        assert jax_value.dtype == reference.dtype
        assert np.abs(np.asarray(jax_value) - reference).max() <= 2e-5 * max(1.0, np.abs(reference).max())


def operations(module: nn.Module, shape: tuple[int, ...]) -> set[str]:
    """The keys of the table that a network uses."""
    nodes = AtenNetwork(module, shape, np.float32)._traced.graph.nodes
    targets = [node.target for node in nodes if hasattr(node.target, "_schema")]
    return {
        key
        for key in ATEN
        for target in targets
        if key in (name_of(target), f"{name_of(target)}.{target._overloadname}")
    }


@pytest.mark.slow
def test_every_form_is_among_those_tested() -> None:
    tested = set()
    for function, x in CASES.values():
        tested |= operations(Call(function), tuple(x.shape))
    for cls, shape in NETWORKS.values():
        tested |= operations(made(cls), (4, *shape))
    # Other releases of torch record these in place of `native_batch_norm` and `rrelu_with_noise_functional`.
    others = {name for name in ATEN if name.startswith("_native_batch_norm_legit")} | {"rrelu_with_noise"}
    assert set(ATEN) - tested <= others
