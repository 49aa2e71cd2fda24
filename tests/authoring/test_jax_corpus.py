"""Small networks of the kinds that people write give the same in JAX and in torch."""

from __future__ import annotations

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
from corpus import NETWORKS, made
from corpus_untraceable import UNTRACEABLE
from jax_agreement import arrays_of
from torch import nn

import bnnbench as bb
from bnnbench.authoring import JaxNetwork

assert all(
    (corpus_functions, corpus_images, corpus_resizing, corpus_sequences, corpus_vectors)
)  # they enter their networks


# Each compiles for seconds: the default run has every third.
EVERY = [pytest.param(name, marks=() if number % 3 == 0 else pytest.mark.slow) for number, name in enumerate(NETWORKS)]


@pytest.mark.integration
@pytest.mark.parametrize("name", EVERY)
def test_logits_and_gradients_in_the_weights_agree(name: str) -> None:
    cls, shape = NETWORKS[name]
    module = made(cls)
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(1))
    weights = dict(module.named_parameters())
    expected = module(x.clone())
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    slopes = torch.autograd.grad((expected * direction).sum(), weights.values())
    network, arrays = JaxNetwork(module), arrays_of(module)
    points = jnp.asarray(x.numpy())

    def projected(own: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        logits = network({**arrays, **own}, points)
        return (logits * direction.numpy()).sum(), logits

    own = {key: arrays[key] for key in weights}
    found_slopes, found = jax.jit(jax.grad(projected, has_aux=True))(own)
    assert_close(found, expected, 1e-5)
    largest = max(float(slope.abs().max()) for slope in slopes)
    for key, slope in zip(weights, slopes, strict=True):
        assert_close(found_slopes[key], slope, 1e-4, largest)


def assert_close(found: jax.Array, expected: torch.Tensor, tolerance: float, size: float = 0.0) -> None:
    """Values differ by at most the tolerance times the largest of them, or times `size` if that is larger."""
    reference = expected.detach().numpy()
    assert found.shape == reference.shape
    assert np.abs(np.asarray(found) - reference).max() <= tolerance * max(size, np.abs(reference).max())


def test_there_are_sixty_networks() -> None:
    assert len(NETWORKS) == 60


@pytest.mark.parametrize("cls", UNTRACEABLE)
def test_what_has_no_form_in_jax_is_refused_by_name(cls: type[nn.Module]) -> None:
    module = made(cls)
    network, arrays = JaxNetwork(module), arrays_of(module)
    with pytest.raises(bb.Incompatible, match=UNTRACEABLE[cls]) as caught:
        network(arrays, jnp.ones((4, 6)))
    assert "\n" not in str(caught.value)
