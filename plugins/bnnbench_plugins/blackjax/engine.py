"""BlackJAX's microcanonical kernels as the engine of a chain. The module imports JAX: import it only in a fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from blackjax.mcmc import adjusted_mclmc, mclmc
from blackjax.mcmc.hmc import HMCState
from blackjax.mcmc.integrators import IntegratorState, isokinetic_velocity_verlet

from bnnbench import Incompatible
from bnnbench.authoring import Transition
from bnnbench_plugins.numpyro.potential import Potential, Weights
from bnnbench_plugins.numpyro.programs import compiled, identified

DIVERGING = 1000.0
"""The integration error of a trajectory above which it counts as divergent."""

Made = tuple[IntegratorState, tuple[jax.Array, ...]]
"""The place after a transition, and its acceptance probability, whether it diverged, and its number of steps."""


class MicrocanonicalEngine:
    """The engine of one chain (`authoring.chain_loop.Engine`).

    Args:
        potential: a function from `inputs` to the potential.
        weights: where the chain starts.
        inputs: the data. They are arguments of the compiled programs.
        adjusted: whether trajectories are accepted or rejected.

    Raises `Incompatible` if there are fewer than two weights.
    """

    def __init__(
        self,
        potential: Callable[..., Potential],
        weights: Mapping[str, np.ndarray],
        inputs: tuple[jax.Array, ...],
        adjusted: bool,
    ) -> None:
        size = sum(array.size for array in weights.values())
        if size < 2:
            raise Incompatible("the microcanonical dynamics need a network with two weights or more")
        # The kernels flatten weights in the order of their sorted names, which is that of the inverse mass matrix.
        start = {name: jnp.asarray(array) for name, array in weights.items()}
        self._inputs, self._unit = inputs, math.sqrt(size)
        key = np.zeros(2, np.uint32)
        begin, density = identified(_start(potential), (start, key, inputs))
        self._place = begin(start, key, inputs)
        move = _adjusted(potential) if adjusted else _unadjusted(potential)
        example = (self._place, inputs, *self._arguments((0, 0), 0.1, np.ones(size, np.float32), 1))
        self._advance = compiled(move, example, "blackjax", adjusted, density)

    def transition(
        self, seeds: tuple[int, int], *, step_size: float, inverse_mass: np.ndarray, leapfrog_steps: int
    ) -> Transition:
        """Make a transition of `leapfrog_steps` steps in the mean."""
        arguments = self._arguments(seeds, step_size, inverse_mass, leapfrog_steps)
        self._place, (acceptance, diverging, steps) = self._advance(self._place, self._inputs, *arguments)
        return Transition(float(acceptance), bool(diverging), int(steps))

    def trial(self, seeds: tuple[int, int], *, step_size: float, inverse_mass: np.ndarray) -> float:
        """The acceptance probability of one step. The chain stays where it is."""
        arguments = self._arguments(seeds, step_size, inverse_mass, 1)
        return float(self._advance(self._place, self._inputs, *arguments)[1][0])

    def weights(self) -> dict[str, np.ndarray]:
        """The weights of the chain, name -> array of its own."""
        return {name: np.array(array) for name, array in self._place.position.items()}

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The weights, the velocity, the log density and its gradient."""
        parts = {part: getattr(self._place, part) for part in ("position", "momentum", "logdensity_grad")}
        named = {f"{part}/{name}": np.array(array) for part in parts for name, array in parts[part].items()}
        return {"logdensity": np.array(self._place.logdensity), **named}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state_arrays` gave."""

        def named(part: str) -> Weights:
            return {name: jnp.asarray(arrays[f"{part}/{name}"]) for name in self._place.position}

        logdensity = jnp.asarray(arrays["logdensity"])
        self._place = IntegratorState(named("position"), named("momentum"), logdensity, named("logdensity_grad"))

    def _arguments(
        self, seeds: tuple[int, int], step_size: float, inverse_mass: np.ndarray, steps: int
    ) -> tuple[Any, ...]:
        """The arguments of the compiled transition after place and inputs; a velocity of length 1 has longer steps."""
        return np.array(seeds, np.uint32), np.float32(step_size * self._unit), inverse_mass, np.int32(steps)


def _start(potential: Callable[..., Potential]) -> Callable[..., IntegratorState]:
    """A function from weights, a key and inputs to the place of a chain."""

    def start(weights: Weights, key: jax.Array, inputs: tuple[jax.Array, ...]) -> IntegratorState:
        return mclmc.init(weights, _log_density(potential, inputs), key)

    return start


def _adjusted(potential: Callable[..., Potential]) -> Callable[..., Made]:
    """A function that makes one transition with a new velocity, a random number of steps and a Metropolis step."""
    kernel = adjusted_mclmc.build_kernel(isokinetic_velocity_verlet, DIVERGING)

    def transition(
        place: IntegratorState,
        inputs: tuple[jax.Array, ...],
        key: jax.Array,
        step_size: jax.Array,
        inverse_mass: jax.Array,
        steps: jax.Array,
    ) -> Made:
        own, counting = jax.random.split(key)
        count = jax.random.randint(counting, (), 1, 2 * steps)
        state = HMCState(place.position, place.logdensity, place.logdensity_grad)
        new, info = kernel(own, state, _log_density(potential, inputs), step_size, (count,), inverse_mass)
        moved = IntegratorState(new.position, place.momentum, new.logdensity, new.logdensity_grad)
        return moved, (info.acceptance_rate, info.is_divergent, count)

    return transition


def _unadjusted(potential: Callable[..., Potential]) -> Callable[..., Made]:
    """A function that makes some steps, each of which turns the velocity a little: by much in the whole transition."""
    kernel = mclmc.build_kernel(isokinetic_velocity_verlet)

    def transition(
        place: IntegratorState,
        inputs: tuple[jax.Array, ...],
        key: jax.Array,
        step_size: jax.Array,
        inverse_mass: jax.Array,
        steps: jax.Array,
    ) -> Made:
        log_density, length = _log_density(potential, inputs), steps * step_size

        def step(number: jax.Array, made: tuple[Any, ...]) -> tuple[Any, ...]:
            place, error, finite = made
            key_of_step = jax.random.fold_in(key, number)
            place, info = kernel(key_of_step, place, log_density, inverse_mass, length, step_size)
            return place, error + info.energy_change, finite & info.nonans

        place, error, finite = jax.lax.fori_loop(0, steps, step, (place, jnp.float32(0), jnp.bool_(True)))
        acceptance = jnp.where(finite, jnp.exp(-jnp.maximum(error, 0)), 0.0)
        return place, (acceptance, ~finite | (error > DIVERGING), steps)

    return transition


def _log_density(potential: Callable[..., Potential], inputs: tuple[jax.Array, ...]) -> Potential:
    """The log density of weights, up to a constant."""
    of_inputs = potential(*inputs)
    return lambda weights: -of_inputs(weights)
