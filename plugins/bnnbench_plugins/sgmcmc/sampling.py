"""Sample one chain by stochastic gradients. The module imports JAX and BlackJAX: import it only in a fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from blackjax.sgmcmc.diffusions import overdamped_langevin, sghmc

from bnnbench import Draws, Progress
from bnnbench.authoring import chain_seeds, chain_texts, fresh_network, kept_buffers, recalibrated, started
from bnnbench_plugins.numpyro.jax_settings import check_platform, standard_settings
from bnnbench_plugins.numpyro.potential import Inputs, Potential, Weights, arrays_of, inputs, negative_log_posterior
from bnnbench_plugins.numpyro.programs import compiled, identity
from bnnbench_plugins.sgmcmc.schedules import Stretch, steps, stretches

if TYPE_CHECKING:
    from torch import nn

    from bnnbench import Data
    from bnnbench_plugins.sgmcmc.parameters import Steps

BIASED = "no step was accepted or rejected: the draws are biased by the learning rate and the noise of minibatches"

Gradient = Callable[[Weights], Weights]
"""An estimate of the gradient of the log posterior density."""
Place = tuple[Weights, Weights]
"""Where a chain is: its weights and their momenta."""


def sample(sampler: Steps, network: nn.Module, data: Data, seed: int, chain: int, progress: Progress) -> Draws:
    """The draws of one chain, with the diagnostics of `samplers.StochasticGradients.fit_chain`.

    They do not depend on the settings of JAX in the host program.
    """
    began = time.perf_counter()
    check_platform()
    with standard_settings():
        sampled = fresh_network(network, seed, keep_buffers=True)
        kept = list(_kept(sampler, sampled, network, data, seed, chain, progress))
    recalibrate = sampler.batch_norm == "recalibrated"
    size = min(sampler.batch_size, len(data.train[0]))
    rates = np.concatenate([stretch.rates for stretch in stretches(sampler) if stretch.kept])
    draws = Draws(
        {name: np.stack([weights[name] for weights in kept])[None] for name in kept[0]},
        shared=kept_buffers(sampled),
        diagnostics={
            "step_size": np.array([rates.mean(dtype=float)]),
            "gradients": round(steps(sampler) * size / len(data.train[0])),
            "seconds": time.perf_counter() - began,
            "biased": BIASED,
        }
        | chain_texts(sampled, sampler.start, recalibrated=recalibrate),
    )
    device = next(sampled.parameters()).device
    return recalibrated(draws, sampled, data.train[0].to(device)) if recalibrate else draws


def _kept(
    sampler: Steps,
    sampled: nn.Module,
    template: nn.Module,
    data: Data,
    seed: int,
    chain: int,
    progress: Progress,
) -> Iterator[dict[str, np.ndarray]]:
    """The weights of each draw, name -> array. Raises `FloatingPointError` if they are not finite."""
    potential = negative_log_posterior(sampled, data)
    start = started(sampler.start, template, data, sampler.prior_scale, seed, chain)
    weights = {name: jnp.asarray(weight) for name, weight in arrays_of(start.items()).items()}
    points = len(data.train[0])
    size = min(sampler.batch_size, points)
    of_data = inputs(data, sampler.prior_scale, points / size)
    own = chain_seeds(seed, chain)[1]
    batches = _batches(points, size, own)
    advance, density = _advance(potential, sampler.decay), _identity(potential, weights, of_data, size)
    place: Place = (weights, {name: jnp.zeros_like(weight) for name, weight in weights.items()})
    total = steps(sampler)
    for stretch in stretches(sampler):
        arguments = (place, of_data, *_arguments(stretch, own, batches))
        place = compiled(advance, arguments, "sgmcmc", sampler.decay, density)(*arguments)
        done = stretch.first + len(stretch.rates)
        arrays = {name: np.array(weight) for name, weight in place[0].items()}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise FloatingPointError(f"the weights are not finite after {done} steps: try a smaller learning_rate")
        progress(done, total, f"{'sampling' if stretch.kept else 'warm-up'}, learning rate {stretch.rates[-1]:.1e}")
        if stretch.kept:
            yield arrays


def _arguments(stretch: Stretch, seed: int, batches: Iterator[np.ndarray]) -> tuple[Any, ...]:
    """The arguments of the compiled steps after place and inputs."""
    chosen = np.stack([next(batches) for _ in stretch.rates])
    numbers = np.arange(stretch.first, stretch.first + len(stretch.rates), dtype=np.uint32)
    # The key of `jax.random.PRNGKey(seed)`, to which that would add the host's `jax_random_seed_offset`.
    return np.array([0, seed], np.uint32), numbers, chosen, stretch.rates, stretch.temperatures


def _batches(points: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Minibatches (B,) of indices without end: each pass takes the points in a new order, and drops what is left."""
    generator = np.random.Generator(np.random.PCG64(seed))
    while True:
        order = generator.permutation(points).astype(np.int32)
        yield from order[: points // size * size].reshape(-1, size)


def _identity(potential: Callable[..., Potential], weights: Weights, inputs: Inputs, size: int) -> str:
    """The identity of the density of minibatches of this size."""

    def gradient(weights: Weights, inputs: tuple[Any, ...]) -> Any:
        return jax.value_and_grad(potential(*inputs, points / size))(weights)

    points = len(inputs[0])
    of_batch = [jax.ShapeDtypeStruct((size, *array.shape[1:]), array.dtype) for array in inputs[:2]]
    return identity(gradient, (weights, (*of_batch, inputs[2])))


def _advance(potential: Callable[..., Potential], decay: float | None) -> Callable[..., Place]:
    """A function that makes some steps, of SGHMC with a momentum of this decay or of SGLD."""
    move = _langevin if decay is None else _hamiltonian(decay)

    def advance(
        place: Place,
        inputs: Inputs,
        key: jax.Array,
        numbers: jax.Array,
        batches: jax.Array,
        rates: jax.Array,
        temperatures: jax.Array,
    ) -> Place:
        points, size = len(inputs[0]), batches.shape[1]

        def step(place: Place, of_step: tuple[jax.Array, ...]) -> tuple[Place, None]:
            number, batch, rate, temperature = of_step
            of_batch = potential(inputs[0][batch], inputs[1][batch], inputs[2], points / size)
            gradient = jax.grad(lambda weights: -of_batch(weights))
            return move(jax.random.fold_in(key, number), place, gradient, rate / points, temperature), None

        return jax.lax.scan(step, place, (numbers, batches, rates, temperatures))[0]

    return advance


def _langevin(key: jax.Array, place: Place, gradient: Gradient, rate: jax.Array, temperature: jax.Array) -> Place:
    """One step of SGLD."""
    weights, momenta = place
    return overdamped_langevin()(key, weights, gradient(weights), rate, temperature), momenta


def _hamiltonian(momentum: float) -> Callable[..., Place]:
    """A function that makes one step of SGHMC.

    BlackJAX's step of size h and friction a takes w + h r and r - h a r + h g + N(0, 2 a T h), which is the step of the
    samplers with h a = 1 - m. Its own kernel draws new momenta for each minibatch, and takes the gradient before the
    weights move, which adds energy; here it is taken after, as in the paper's algorithm 2.
    """

    def move(key: jax.Array, place: Place, gradient: Gradient, rate: jax.Array, temperature: jax.Array) -> Place:
        size = jnp.sqrt(rate)
        moved = {name: weight + size * place[1][name] for name, weight in place[0].items()}
        return sghmc((1 - momentum) / size)(key, *place, gradient(moved), size, temperature)

    return move
