"""Sample one chain with NumPyro. The module imports JAX, so it is imported only when a posterior is fitted."""

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
from bnnbench.authoring import Chain, HamiltonianSampler, JaxNetwork, fresh_network
from bnnbench_plugins.numpyro.jax_settings import check_platform, standard_settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench import Data

Weights = Mapping[str, jax.Array]
"""`state_dict` name -> weight."""
Potential = Callable[[Weights], jax.Array]
"""The negative log density of weights, up to a constant."""
CHECKED = 8
"""Number of training inputs at which the network's logits in JAX are compared with those in torch."""


def sample(
    chain: Chain, algorithm: Literal["HMC", "NUTS"], settings: dict[str, Any], network: nn.Module, data: Data
) -> Draws:
    """The draws of one chain, with their diagnostics (`authoring.Chain.draws`).

    They do not depend on the settings of JAX in the host program.

    Args:
        chain: the chain to fill.
        algorithm: the name of NumPyro's kernel.
        settings: the kernel's own arguments, in addition to those that all Hamiltonian samplers share.
        network: the template of the network.
        data: the data; only the training sample is used.

    Raises `Incompatible` if the network has no parameters, or cannot be run in JAX with the same logits, and
    `BnnbenchError` if JAX cannot use its platform.
    """
    check_platform()
    with standard_settings():
        return _sample(chain, algorithm, settings, network, data)


def check(network: nn.Module, data: Data) -> None:
    """Raise what `sample` would raise for a network before its first transition."""
    check_platform()
    with standard_settings():
        sampled = fresh_network(network, 0, keep_buffers=True)
        check_against_torch(JaxNetwork(sampled), sampled, data.train[0][:CHECKED])


def _sample(chain: Chain, algorithm: str, settings: dict[str, Any], network: nn.Module, data: Data) -> Draws:
    sampler = chain.sampler
    # The data are arguments of the compiled program, because XLA would try to fold constants of this size.
    inputs = (jnp.asarray(data.train[0].numpy()), jnp.asarray(data.train[1].numpy()))
    sampled, start, seed = chain.start(network)
    jax_network = JaxNetwork(sampled)
    check_against_torch(jax_network, sampled, data.train[0][:CHECKED])
    potential = negative_log_posterior(jax_network, _arrays(sampled.named_buffers()), sampler.prior_scale)
    begin, transition = _kernel(sampler, algorithm, settings, potential)
    # The key of `jax.random.PRNGKey(seed)`, to which that would add the host's `jax_random_seed_offset`.
    begin_arguments = (_arrays(start.items()), np.array([0, seed], np.uint32), inputs)
    state = _compiled(begin, begin_arguments)(*begin_arguments)
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
    return chain.draws(sampled, data)


def _kernel(
    sampler: HamiltonianSampler, algorithm: str, settings: dict[str, Any], potential: Callable[..., Potential]
) -> tuple[Any, Any]:
    """Two functions: one that makes the state at the start of a chain, and one that makes a transition.

    Each is compiled as one program. NumPyro's `MCMC` class is not used for two reasons: it runs a whole chain as one
    program, which reports no progress, and it compiles hundreds of small programs at the start, which takes 20 seconds.
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
"""Compiled programs of this process: sha256 of the program's text -> program."""


def _compiled(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The function compiled for arguments of these shapes.

    Each program is compiled once in a process, so that later chains and fits of the same shapes start at once. Programs
    are identified by their lowered text: two networks share a program exactly if they compute the same.
    """
    lowered = jax.jit(function).lower(*arguments)
    text = hashlib.sha256(lowered.as_text().encode()).hexdigest()
    if text not in _programs:
        _programs[text] = lowered.compile()
    return _programs[text]


def negative_log_posterior(
    network: JaxNetwork, buffers: dict[str, np.ndarray], prior_scale: float
) -> Callable[..., Potential]:
    """A function from training inputs (N, *shape) and labels (N,) to the negative log density of weights.

    The density is that of the posterior, up to a constant: a categorical likelihood, summed over the training points,
    and independent normal priors of mean 0 and standard deviation `prior_scale`.
    """

    def potential_of(x: jax.Array, y: jax.Array) -> Potential:
        def potential(weights: Weights) -> jax.Array:
            log_probs = jax.nn.log_softmax(network({**buffers, **weights}, x))
            nll = -jnp.take_along_axis(log_probs, y[:, None], 1).sum()
            return nll + sum(jnp.square(weight).sum() for weight in weights.values()) / (2 * prior_scale**2)

        return potential

    return potential_of


def check_against_torch(jax_network: JaxNetwork, network: nn.Module, x: Tensor) -> None:
    """Raise `Incompatible` unless both networks give the same logits (N, K) at x, to 1e-3 of the largest.

    torch.fx records the operations on tensors, but not every effect of Python code between them (for example a tensor
    that is overwritten under another name). Without this check the posterior of another network could be sampled.
    """
    with torch.no_grad():
        expected = network(x.to(next(network.parameters()).device)).float().cpu().numpy()
    arrays = _arrays([*network.named_parameters(), *network.named_buffers()])
    logits = np.asarray(jax.jit(jax_network)(arrays, jnp.asarray(x.numpy())))
    if logits.shape != expected.shape or not np.abs(logits - expected).max() <= 1e-3 * max(1.0, np.abs(expected).max()):
        raise Incompatible(
            f"{type(network).__name__} gives other logits in JAX: torch.fx does not record everything that it does"
        )


def _arrays(named: Iterable[tuple[str, Tensor]]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in named}
