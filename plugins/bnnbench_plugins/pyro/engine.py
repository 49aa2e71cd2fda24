"""Pyro's HMC as the engine of a chain. The module imports Pyro, so it is imported only when a posterior is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from pyro.infer.mcmc import HMC
from torch import Tensor

from bnnbench.authoring import Transition

Potential = Callable[[dict[str, Tensor]], Tensor]
"""The negative log density of weights, up to a constant."""


class _Kernel(HMC):
    """Pyro's HMC with a number of leapfrog steps and a step size that are set before each transition.

    Pyro's own class fixes the length of the trajectory, and adapts the step size itself.
    """

    leapfrog_steps = 1

    @property
    def num_steps(self) -> int:
        """Leapfrog steps of the next transition."""
        return self.leapfrog_steps

    def set(self, step_size: float, leapfrog_steps: int) -> None:
        """Prepare the next transition, and forget the statistics of those before."""
        self._adapter.step_size, self.leapfrog_steps = step_size, leapfrog_steps
        self._t, self._mean_accept_prob = 0, 0.0
        self._divergences: list[int] = []


class PyroEngine:
    """The engine of one chain (`authoring.chain_loop.Engine`).

    Pyro draws from torch's global generator, which each transition seeds: the caller restores it afterwards.
    """

    def __init__(self, potential: Potential, weights: dict[str, Tensor]) -> None:
        self._kernel = _Kernel(potential_fn=potential, adapt_step_size=False, adapt_mass_matrix=False)
        self._kernel.initial_params = weights
        self._kernel.setup(0)
        self._inverse_mass: np.ndarray | None = None

    def transition(
        self, seeds: tuple[int, int], *, step_size: float, inverse_mass: np.ndarray, leapfrog_steps: int
    ) -> Transition:
        """Make a transition of this many leapfrog steps."""
        kernel = self._kernel
        self._use(inverse_mass)
        kernel.set(step_size, leapfrog_steps)
        torch.manual_seed(seeds[0])
        kernel.sample(kernel._z_last)
        # Both are statistics of this transition alone, because `set` has begun them anew.
        return Transition(float(kernel._mean_accept_prob), bool(kernel._divergences), leapfrog_steps)

    def trial(self, seeds: tuple[int, int], *, step_size: float, inverse_mass: np.ndarray) -> float:
        """The acceptance probability of one leapfrog step. The chain stays where it is."""
        before = self._kernel._fetch_from_cache()
        made = self.transition(seeds, step_size=step_size, inverse_mass=inverse_mass, leapfrog_steps=1)
        self._kernel._cache(*before)
        return made.acceptance

    def weights(self) -> dict[str, np.ndarray]:
        """The weights of the chain, name -> array of its own."""
        return _arrays(self._kernel._z_last)

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The weights, the gradient of the potential at them, and the potential."""
        weights, potential, gradients = self._kernel._fetch_from_cache()
        return {
            "potential": potential.cpu().numpy().copy(),
            **{f"weights/{name}": array for name, array in _arrays(weights).items()},
            **{f"gradients/{name}": array for name, array in _arrays(gradients).items()},
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state_arrays` gave."""
        now, _, _ = self._kernel._fetch_from_cache()

        def tensors(part: str) -> dict[str, Tensor]:
            return {name: torch.tensor(arrays[f"{part}/{name}"]).to(tensor.device) for name, tensor in now.items()}

        device = next(iter(now.values())).device
        self._kernel._cache(tensors("weights"), torch.tensor(arrays["potential"]).to(device), tensors("gradients"))

    def _use(self, inverse_mass: np.ndarray) -> None:
        """Set the kernel's inverse mass matrix, if it is another one than before."""
        if self._inverse_mass is inverse_mass:
            return
        adapter = self._kernel.mass_matrix_adapter
        # Pyro's own matrix is one block of all weights in the order of their sorted names.
        ((block, matrix),) = adapter.inverse_mass_matrix.items()
        adapter.inverse_mass_matrix = {block: torch.tensor(inverse_mass).to(matrix)}
        self._inverse_mass = inverse_mass


def _arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}
