"""NumPyro's kernels as the engine of a chain. The module imports JAX: import it only when a posterior is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from bnnbench.authoring import Transition
from bnnbench_plugins.numpyro.potential import Potential, Weights
from bnnbench_plugins.numpyro.programs import compiled, identified


class Place(NamedTuple):
    """Where a chain is: its weights, the potential, and the potential's gradient."""

    weights: Weights
    potential: jax.Array
    gradients: Weights


class NumPyroEngine:
    """The engine of one chain (`authoring.chain_loop.Engine`).

    Args:
        potential: a function from `inputs` to the potential.
        weights: where the chain starts.
        inputs: the data. They are arguments of the compiled programs.
        max_tree_depth: that of the no-U-turn sampler; None for HMC.
    """

    def __init__(
        self,
        potential: Callable[..., Potential],
        weights: Mapping[str, np.ndarray],
        inputs: tuple[jax.Array, ...],
        max_tree_depth: int | None,
    ) -> None:
        begin, density = identified(_start(potential), (weights, inputs))
        self._inputs, self._place = inputs, begin(weights, inputs)
        size = sum(array.size for array in weights.values())
        example = (self._place, inputs, *_arguments((0, 0), 0.1, np.ones(size, np.float32), 1, trial=False))
        self._advance = compiled(_transition(potential, max_tree_depth), example, "numpyro", max_tree_depth, density)

    def transition(
        self, seeds: tuple[int, int], *, step_size: float, inverse_mass: np.ndarray, leapfrog_steps: int
    ) -> Transition:
        """Make a transition; HMC takes this many leapfrog steps, the no-U-turn sampler finds their number itself."""
        arguments = _arguments(seeds, step_size, inverse_mass, leapfrog_steps, trial=False)
        self._place, (acceptance, diverging, steps) = self._advance(self._place, self._inputs, *arguments)
        return Transition(float(acceptance), bool(diverging), int(steps))

    def trial(self, seeds: tuple[int, int], *, step_size: float, inverse_mass: np.ndarray) -> float:
        """The acceptance probability of one leapfrog step. The chain stays where it is."""
        arguments = _arguments(seeds, step_size, inverse_mass, 1, trial=True)
        return float(self._advance(self._place, self._inputs, *arguments)[1][0])

    def weights(self) -> dict[str, np.ndarray]:
        """The weights of the chain, name -> array of its own."""
        return {name: np.array(array) for name, array in self._place.weights.items()}

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The weights, the potential and its gradient."""
        return {
            "potential": np.array(self._place.potential),
            **{f"weights/{name}": array for name, array in self.weights().items()},
            **{f"gradients/{name}": np.array(array) for name, array in self._place.gradients.items()},
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state_arrays` gave."""

        def named(part: str) -> Weights:
            return {name: jnp.asarray(arrays[f"{part}/{name}"]) for name in self._place.weights}

        self._place = Place(named("weights"), jnp.asarray(arrays["potential"]), named("gradients"))


def _arguments(
    seeds: tuple[int, int], step_size: float, inverse_mass: np.ndarray, leapfrog_steps: int, *, trial: bool
) -> tuple[Any, ...]:
    """The arguments of the compiled transition after place and inputs.

    NumPyro's HMC takes the length of a trajectory, and takes ceil(length / step size) steps that fill it. A step size
    that is larger by the share 1 / (2 steps) gives the right number whatever the rounding; the steps that are taken
    then have the length that was asked for.
    """
    length, searched = leapfrog_steps * step_size, step_size * (1 + 0.5 / leapfrog_steps)
    # The key of `jax.random.PRNGKey`, to which that would add the host's `jax_random_seed_offset`.
    key = np.array(seeds, np.uint32)
    return key, np.float32(step_size), np.float32(searched), np.float32(length), inverse_mass, np.int32(not trial)


def _start(potential: Callable[..., Potential]) -> Callable[..., Place]:
    """A function from weights and inputs to the place of a chain."""

    def start(weights: Weights, inputs: tuple[jax.Array, ...]) -> Place:
        value, gradients = jax.value_and_grad(potential(*inputs))(weights)
        return Place(weights, value, gradients)

    return start


def _transition(potential: Callable[..., Potential], max_tree_depth: int | None) -> Callable[..., Any]:
    """A function that makes one transition, with NumPyro's own kernel and without its adaptation.

    It is compiled as one program. NumPyro's `MCMC` class is not used for two reasons: it runs a whole chain as one
    program, which reports no progress, and it compiles hundreds of small programs at the start, which takes 20 seconds.
    """
    nuts = max_tree_depth is not None
    init_kernel, sample_kernel = hmc(potential_fn_gen=potential, algo="NUTS" if nuts else "HMC")

    def transition(
        place: Place,
        inputs: tuple[jax.Array, ...],
        key: jax.Array,
        step_size: jax.Array,
        searched: jax.Array,
        length: jax.Array,
        inverse_mass: jax.Array,
        number: jax.Array,
    ) -> tuple[Place, tuple[jax.Array, ...]]:
        state = init_kernel(
            ParamInfo(*place),
            # The first transition is a trial: its tree has one step. All others follow NumPyro's own warm-up.
            int(nuts),
            step_size=step_size if nuts else searched,
            inverse_mass_matrix=inverse_mass,
            adapt_step_size=False,
            adapt_mass_matrix=False,
            num_steps=None,
            trajectory_length=length,
            max_tree_depth=(1, max_tree_depth) if nuts else 1,
            model_args=inputs,
            rng_key=key,
        )
        new = sample_kernel(state._replace(i=number, rng_key=key), inputs, {})
        place = Place(new.z, new.potential_energy, new.z_grad)
        return place, (new.accept_prob, new.diverging, new.num_steps)

    return transition
