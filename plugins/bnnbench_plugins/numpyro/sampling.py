"""NumPyro chains. This module imports JAX: it is imported when a posterior is fitted."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import hmc

from bnnbench import Draws, Progress, initialise
from bnnbench_plugins.markov_chain import Chain, HamiltonianSampler, chain_seed, gathered
from bnnbench_plugins.numpyro.interpreter import JaxNetwork

if TYPE_CHECKING:
    from torch import nn

    from bnnbench import Data

Weights = Mapping[str, jax.Array]
Potential = Callable[[Weights], jax.Array]


def sample(
    sampler: HamiltonianSampler,
    algorithm: Literal["HMC", "NUTS"],
    settings: dict[str, Any],
    network: nn.Module,
    data: Data,
    seed: int,
    progress: Progress,
) -> Draws:
    """The draws of all chains; the kernel is compiled once for them."""
    started = time.perf_counter()
    # The data are arguments, not constants of the compiled program: XLA would try to fold 60 MB of images.
    inputs = (jnp.asarray(data.train[0].numpy()), jnp.asarray(data.train[1].numpy()))
    begin, transition = _kernel(sampler, algorithm, settings, _potential(network, sampler.prior_scale))
    chains = []
    for number in range(sampler.chains):
        chain = Chain(sampler, number, progress)
        own = chain_seed(seed, number)
        given = (_start(network, own), jax.random.PRNGKey(own), inputs)
        state = _compiled(begin, given)(*given)
        advance = _compiled(transition, (state, inputs))
        for step in range(sampler.transitions):
            state = advance(state, inputs)
            keep = chain.note(
                step,
                acceptance=float(state.accept_prob),
                diverging=bool(state.diverging),
                leapfrog_steps=int(state.num_steps),
                step_size=float(state.adapt_state.step_size),
            )
            if keep:
                chain.kept.append({name: np.asarray(array) for name, array in state.z.items()})
        chains.append(chain)
    return gathered(chains, network, started)


def _kernel(
    sampler: HamiltonianSampler, algorithm: str, settings: dict[str, Any], potential: Callable[..., Potential]
) -> tuple[Any, Any]:
    """The start of a chain and its transition, each to be one compiled program.

    NumPyro's `MCMC` would do both, but runs a chain as one program, silent until its end, and starts it by hundreds of
    small ones, which take twenty seconds to compile.
    """
    init_kernel, sample_kernel = hmc(potential_fn_gen=potential, algo=algorithm)

    def begin(weights: Weights, key: jax.Array, inputs: tuple[jax.Array, ...]) -> Any:
        return init_kernel(
            weights,
            sampler.warmup,
            step_size=sampler.step_size,
            adapt_step_size=sampler.adapt_step_size,
            adapt_mass_matrix=sampler.adapt_mass_matrix,
            target_accept_prob=sampler.target_acceptance,
            model_args=inputs,
            rng_key=key,
            **settings,
        )

    return begin, lambda state, inputs: sample_kernel(state, inputs, {})


_programs: dict[str, Any] = {}


def _compiled(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The function compiled for arguments of these shapes; a process compiles each program once, whoever asks.

    The program's own text is the key, so two networks share one exactly if they compute the same.
    """
    lowered = jax.jit(function).lower(*arguments)
    text = hashlib.sha256(lowered.as_text().encode()).hexdigest()
    if text not in _programs:
        _programs[text] = lowered.compile()
    return _programs[text]


def _potential(network: nn.Module, prior_scale: float) -> Callable[..., Potential]:
    """Given inputs and labels, the negative log density of weights, up to a constant."""
    apply = JaxNetwork(network)
    buffers = {name: jnp.asarray(buffer.cpu().numpy()) for name, buffer in network.named_buffers()}

    def given(x: jax.Array, y: jax.Array) -> Potential:
        def potential(weights: Weights) -> jax.Array:
            log_probs = jax.nn.log_softmax(apply({**buffers, **weights}, x))
            nll = -jnp.take_along_axis(log_probs, y[:, None], 1).sum()
            return nll + sum(jnp.square(weight).sum() for weight in weights.values()) / (2 * prior_scale**2)

        return potential

    return given


def _start(network: nn.Module, seed: int) -> dict[str, np.ndarray]:
    # NumPyro's own start, uniform in +-2, makes every transition of a network of some width diverge.
    fresh = initialise(network, seed)
    return {name: parameter.detach().cpu().numpy() for name, parameter in fresh.named_parameters()}
