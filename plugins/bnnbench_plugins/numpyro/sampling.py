"""A NumPyro chain. This module imports JAX: it is imported when a posterior is fitted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import torch
from numpyro.infer.hmc import hmc

from bnnbench import Draws, Incompatible
from bnnbench_plugins.markov_chain import Chain, HamiltonianSampler
from bnnbench_plugins.numpyro.interpreter import JaxNetwork

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench import Data

Weights = Mapping[str, jax.Array]
CHECKED = 8
"""Training inputs at which the network in JAX is compared with the one in torch."""

Potential = Callable[[Weights], jax.Array]


def sample(
    chain: Chain, algorithm: Literal["HMC", "NUTS"], settings: dict[str, Any], network: nn.Module, data: Data
) -> Draws:
    """The draws of one chain; a process compiles the kernel once for all chains."""
    sampler = chain.sampler
    # The data are arguments, not constants of the compiled program: XLA would try to fold 60 MB of images.
    inputs = (jnp.asarray(data.train[0].numpy()), jnp.asarray(data.train[1].numpy()))
    sampled, start, seed = chain.start(network)
    jax_network = JaxNetwork(sampled)
    check_against_torch(jax_network, sampled, data.train[0][:CHECKED])
    potential = _potential(jax_network, _arrays(sampled.named_buffers()), sampler.prior_scale)
    begin, transition = _kernel(sampler, algorithm, settings, potential)
    given = (_arrays(start.items()), jax.random.PRNGKey(seed), inputs)
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
    return chain.draws(sampled)


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
            adapt_step_size=sampler.adapts_step_size,
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


def _potential(apply: JaxNetwork, buffers: dict[str, np.ndarray], prior_scale: float) -> Callable[..., Potential]:
    """Given inputs and labels, the negative log density of weights, up to a constant."""

    def given(x: jax.Array, y: jax.Array) -> Potential:
        def potential(weights: Weights) -> jax.Array:
            log_probs = jax.nn.log_softmax(apply({**buffers, **weights}, x))
            nll = -jnp.take_along_axis(log_probs, y[:, None], 1).sum()
            return nll + sum(jnp.square(weight).sum() for weight in weights.values()) / (2 * prior_scale**2)

        return potential

    return given


def check_against_torch(jax_network: JaxNetwork, network: nn.Module, x: Tensor) -> None:
    """Raise `Incompatible` unless both give the same logits (N, K) at x, to 1e-3 of the largest.

    torch.fx follows a module's operations, not all that Python may do between them (a tensor that is written to after
    another name was given to it): what it missed would silently sample another network's posterior.
    """
    with torch.no_grad():
        expected = network(x.to(next(network.parameters()).device)).cpu().numpy()
    arrays = _arrays([*network.named_parameters(), *network.named_buffers()])
    found = np.asarray(jax.jit(jax_network)(arrays, jnp.asarray(x.numpy())))
    if found.shape != expected.shape or not np.abs(found - expected).max() <= 1e-3 * max(1.0, np.abs(expected).max()):
        raise Incompatible(
            f"{type(network).__name__} gives other logits in JAX: torch.fx does not see all that it does"
        )


def _arrays(named: Iterable[tuple[str, Tensor]]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in named}
