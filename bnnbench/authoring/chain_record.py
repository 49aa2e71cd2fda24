"""The record of a Hamiltonian chain: the weights that are kept, and statistics of its transitions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bnnbench.authoring.batch_norm import has_batch_norm, recalibrated
from bnnbench.authoring.random_streams import chain_seeds
from bnnbench.authoring.starts import Start, described, started
from bnnbench.authoring.templates import fresh_network, kept_buffers
from bnnbench.core.draws import Draws, Progress
from bnnbench.core.part_memory import NO_MEMORY, PartMemory
from bnnbench.errors import ContractBreach

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench.authoring.hamiltonian import HamiltonianSampler
    from bnnbench.core.dataset import Data


@dataclass(eq=False)
class Chain:
    """The record of one chain: the weights that are kept, and statistics of its transitions.

    Attributes:
        sampler: the sampler with its parameters.
        number: the number of the chain, from 0.
        seed: the seed of the fit.
        progress: the callback of the fit.
        memory: where the loop keeps its state.
        kept: the weights of each kept transition, name -> array; the sampler appends them.
        acceptance: the acceptance probability of each transition after the warm-up.
        divergences: whether each transition after the warm-up diverged.
        leapfrog_steps: the leapfrog steps of each transition after the warm-up.
        step_size: the step size of the latest transition.
        gradients: the leapfrog steps of all transitions, including the warm-up.
        started: the time at which the record was made, in seconds of `time.perf_counter`.
    """

    sampler: HamiltonianSampler
    number: int
    seed: int
    progress: Progress
    memory: PartMemory = NO_MEMORY
    started: float = field(default_factory=time.perf_counter)
    kept: list[dict[str, np.ndarray]] = field(default_factory=list)
    acceptance: list[float] = field(default_factory=list)
    divergences: list[bool] = field(default_factory=list)
    leapfrog_steps: list[int] = field(default_factory=list)
    step_size: float = 0.0
    gradients: int = 0

    def start(self, network: nn.Module, data: Data | None = None) -> tuple[nn.Module, dict[str, Tensor], int]:
        """The network to sample, the chain's weights at its start by name, and a seed (uint32) of the sampler.

        The weights are those that the parameter `start` names, other ones for each chain or each of the `superchains`;
        `trained` needs the data.
        The network's buffers are those of the template, such as trained statistics of batch norm.
        Raises `Incompatible` if the template `network` has no parameters.
        """
        sampled = fresh_network(network, self.seed, keep_buffers=True)
        sampler, number = self.sampler, self.sampler.start_of(self.number)
        weights = started(sampler.start, network, data, sampler.prior_scale, self.seed, number)
        return sampled, weights, chain_seeds(self.seed, self.number)[1]

    def note(
        self, transition: int, *, acceptance: float, diverging: bool, leapfrog_steps: int, step_size: float
    ) -> bool:
        """Record the statistics of a transition, and return whether its weights are to be kept.

        `transition` counts from 0 and includes the warm-up.
        """
        sampler = self.sampler
        self.gradients += leapfrog_steps
        self.step_size = step_size
        stage = "warm-up" if transition < sampler.warmup else "sampling"
        self.progress(
            transition + 1, sampler.transitions, f"{stage}, acceptance {acceptance:.2f}, step {step_size:.1e}"
        )
        if transition < sampler.warmup:
            return False
        self.acceptance.append(acceptance)
        self.divergences.append(diverging)
        self.leapfrog_steps.append(leapfrog_steps)
        return (transition - sampler.warmup + 1) % sampler.thin == 0

    def state_arrays(self) -> dict[str, np.ndarray]:
        """What is recorded so far, as arrays by name, without the weights that are kept."""
        return {
            "acceptance": np.array(self.acceptance, float),
            "divergences": np.array(self.divergences, bool),
            "leapfrog_steps": np.array(self.leapfrog_steps, np.int64),
            "step_size": np.array(self.step_size),
            "gradients": np.array(self.gradients),
            "seconds": np.array(time.perf_counter() - self.started),
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state_arrays` gave. The time since then does not count."""
        self.acceptance, self.divergences = arrays["acceptance"].tolist(), arrays["divergences"].tolist()
        self.leapfrog_steps = arrays["leapfrog_steps"].tolist()
        self.step_size, self.gradients = float(arrays["step_size"]), int(arrays["gradients"])
        self.started = time.perf_counter() - float(arrays["seconds"])

    def draws(self, network: nn.Module, data: Data | None = None) -> Draws:
        """The kept weights as `Draws` of one chain: arrays (1, draws, *weight), and the sampled network's buffers.

        With `batch_norm: recalibrated` the statistics of batch norm are estimated for each draw, which needs the data.

        Diagnostics: `acceptance`, `divergences` and `leapfrog_steps` of each transition after the warm-up, of shape
        (1, draws * thin); `step_size`, of shape (1,); `gradients`, the number of leapfrog steps including the warm-up;
        `seconds`, the wall time; for a network with such layers, the text `held_fixed` (`held_fixed`); and the text
        `start` for chains with a start that R-hat does not question.
        """
        recalibrate = self.sampler.batch_norm == "recalibrated"
        if recalibrate and data is None:
            raise ContractBreach("batch_norm: recalibrated needs the data: write record.draws(network, data)")
        arrays = {name: np.stack([weights[name] for weights in self.kept])[None] for name in self.kept[0]}
        draws = Draws(
            {name: array.astype(np.float32, copy=False) for name, array in arrays.items()},
            shared=kept_buffers(network),
            diagnostics={
                "acceptance": np.array([self.acceptance]),
                "divergences": np.array([self.divergences]),
                "leapfrog_steps": np.array([self.leapfrog_steps]),
                "step_size": np.array([self.step_size]),
                "gradients": self.gradients,
                "seconds": time.perf_counter() - self.started,
            }
            | chain_texts(network, self.sampler.start, recalibrated=recalibrate),
        )
        if recalibrate and data is not None:
            draws = recalibrated(draws, network, data.train[0].to(next(network.parameters()).device))
        return draws


def chain_texts(network: nn.Module, start: Start, *, recalibrated: bool = False) -> dict[str, str]:
    """The texts among the diagnostics of a chain: `held_fixed` and `start`, each only if it has something to say.

    `recalibrated` is whether the draws have statistics of batch norm of their own.
    """
    texts = {"held_fixed": held_fixed(network, recalibrated), "start": described(start)}
    return {name: text for name, text in texts.items() if text}


def held_fixed(network: nn.Module, recalibrate: bool = False) -> str:
    """What a sampler holds fixed in a network, in words; empty if there is nothing.

    The density that it samples must be a fixed function of the weights. So layers are in eval mode: batch norm uses
    the statistics that it has at the start, and dropout does nothing. Recalibration changes the draws afterwards.
    """
    held = []
    if any(getattr(layer, "running_mean", None) is not None for layer in network.modules()):
        held.append("batch norm keeps the statistics that it has at the start")
        if recalibrate and has_batch_norm(network):
            held[-1] += " while it is sampled, then it has those of each draw, recalibrated on the training inputs"
    if any(map(_drops, network.modules())):
        held.append("dropout is off")
    return "; ".join(held)


def _drops(layer: nn.Module) -> bool:
    """Whether a layer sets values to zero at random in train mode: a dropout, or a layer such as attention or LSTM."""
    probability = getattr(layer, "p", 1.0) if "Dropout" in type(layer).__name__ else getattr(layer, "dropout", 0.0)
    return isinstance(probability, int | float) and probability > 0
