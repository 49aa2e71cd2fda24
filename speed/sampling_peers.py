"""Samplers of other libraries as their users write them: models in NumPyro and Pyro, a log density for BlackJAX.

Each function prepares a sampler of a problem's fully connected network, and returns a function that samples one chain.
All settings that a user need not name are the library's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

import bnnbench as bb

Weights = dict[str, np.ndarray]
"""`state_dict` name -> draws (draws, *weight)."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is sampled: a network of linear layers and leaky ReLUs, data, a prior, and the length of a chain."""

    network: nn.Module
    data: bb.Data
    prior_scale: float
    warmup: int
    draws: int

    @property
    def layers(self) -> list[str]:
        """The names of the linear layers."""
        return [name for name, layer in self.network.named_children() if isinstance(layer, nn.Linear)]

    def shape(self, layer: str) -> tuple[int, int]:
        """The numbers of inputs and outputs of a linear layer."""
        linear = self.network.get_submodule(layer)
        assert isinstance(linear, nn.Linear)
        return linear.in_features, linear.out_features

    def flat_train(self) -> tuple[np.ndarray, np.ndarray]:
        """The training inputs (N, P) and labels (N,)."""
        x, y = self.data.train
        return x.flatten(1).numpy(), y.numpy()


@dataclass(frozen=True, eq=False)
class Sampled:
    """One chain: its draws, the gradients that it took including the warm-up, and statistics after the warm-up."""

    weights: Weights
    gradients: int
    acceptance: float
    divergences: int


Chain = Callable[[int], Sampled]
"""A function that samples the chain with a number."""


def numpyro_peer(problem: Problem, kernel: str) -> Chain:
    """A NumPyro model with plates, `kernel` (HMC or NUTS) and the class `MCMC`."""
    import jax
    import numpyro
    import numpyro.distributions as dist
    from numpyro import infer

    def model(x: Any, y: Any) -> None:
        for place, layer in enumerate(problem.layers):
            inputs, outputs = problem.shape(layer)
            prior = dist.Normal(0.0, problem.prior_scale)
            weight = numpyro.sample(f"{layer}.weight", prior.expand([inputs, outputs]).to_event(2))
            bias = numpyro.sample(f"{layer}.bias", prior.expand([outputs]).to_event(1))
            x = (x if place == 0 else jax.nn.leaky_relu(x)) @ weight + bias
        with numpyro.plate("data", len(y)):
            numpyro.sample("y", dist.Categorical(logits=x), obs=y)

    sampler = getattr(infer, kernel)(model)
    mcmc = infer.MCMC(sampler, num_warmup=problem.warmup, num_samples=problem.draws, progress_bar=False)
    x, y = problem.flat_train()

    def chain(number: int) -> Sampled:
        key, fields = jax.random.PRNGKey(number), ("num_steps", "accept_prob", "diverging")
        # `run` alone does the same, but does not tell the steps of the warm-up.
        mcmc.warmup(key, x, y, collect_warmup=True, extra_fields=fields)
        before = int(np.sum(mcmc.get_extra_fields()["num_steps"]))
        mcmc.run(mcmc.post_warmup_state.rng_key, x, y, extra_fields=fields)
        after = mcmc.get_extra_fields()
        draws = {name: in_torch(value) for name, value in mcmc.get_samples().items()}
        steps, accepted = before + int(np.sum(after["num_steps"])), float(np.mean(after["accept_prob"]))
        return Sampled(draws, steps, accepted, int(np.sum(after["diverging"])))

    return chain


def blackjax_peer(problem: Problem) -> Chain:
    """BlackJAX's window adaptation and NUTS, with a hand-written log density, in a compiled scan."""
    import blackjax
    import jax
    import jax.numpy as jnp

    x, y = map(jnp.asarray, problem.flat_train())

    def log_density(weights: dict[str, Any]) -> Any:
        hidden = x
        for place, layer in enumerate(problem.layers):
            hidden = hidden if place == 0 else jax.nn.leaky_relu(hidden)
            hidden = hidden @ weights[f"{layer}.weight"] + weights[f"{layer}.bias"]
        log_probs = jax.nn.log_softmax(hidden)[jnp.arange(len(y)), y]
        return log_probs.sum() - sum((w**2).sum() for w in weights.values()) / (2 * problem.prior_scale**2)

    def sampled(key: Any, start: dict[str, Any]) -> Any:
        warming, sampling = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, log_density)
        (state, parameters), told = adaptation.run(warming, start, num_steps=problem.warmup)
        kernel = blackjax.nuts(log_density, **parameters)

        def step(state: Any, key: Any) -> Any:
            state, info = kernel.step(key, state)
            return state, (state.position, info.num_integration_steps, info.acceptance_rate, info.is_divergent)

        made = jax.lax.scan(step, state, jax.random.split(sampling, problem.draws))[1]
        return made, told.info.num_integration_steps

    program = jax.jit(sampled)

    def chain(number: int) -> Sampled:
        begin, key = jax.random.split(jax.random.PRNGKey(number))
        start = {}
        for layer, key_of_layer in zip(problem.layers, jax.random.split(begin, len(problem.layers)), strict=True):
            inputs, outputs = problem.shape(layer)
            start[f"{layer}.weight"] = jax.random.normal(key_of_layer, (inputs, outputs)) / inputs**0.5
            start[f"{layer}.bias"] = jnp.zeros(outputs)
        (position, steps, acceptance, divergent), before = jax.device_get(program(key, start))
        draws = {name: in_torch(value) for name, value in position.items()}
        return Sampled(draws, int(before.sum() + steps.sum()), float(acceptance.mean()), int(divergent.sum()))

    return chain


def pyro_peer(problem: Problem, kernel: str) -> Chain:
    """A Pyro module whose weights are samples, `kernel` (HMC or NUTS) and the class `MCMC`."""
    import pyro
    import pyro.distributions as dist
    from pyro import infer
    from pyro.nn import PyroModule, PyroSample

    x, y = map(torch.from_numpy, problem.flat_train())

    class Model(PyroModule):
        evaluations = 0

        def __init__(self) -> None:
            super().__init__()
            for layer in problem.layers:
                inputs, outputs = problem.shape(layer)
                linear, prior = PyroModule[nn.Linear](inputs, outputs), dist.Normal(0.0, problem.prior_scale)
                linear.weight = PyroSample(prior.expand([outputs, inputs]).to_event(2))
                linear.bias = PyroSample(prior.expand([outputs]).to_event(1))
                setattr(self, f"layer{layer}", linear)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> None:
            Model.evaluations += 1
            for place, layer in enumerate(problem.layers):
                x = getattr(self, f"layer{layer}")(x if place == 0 else nn.functional.leaky_relu(x))
            with pyro.plate("data", len(y)):
                pyro.sample("y", dist.Categorical(logits=x), obs=y)

    def chain(number: int) -> Sampled:
        pyro.set_rng_seed(number)
        pyro.clear_param_store()
        Model.evaluations = 0
        sampler = getattr(infer, kernel)(Model())
        mcmc = infer.MCMC(sampler, num_samples=problem.draws, warmup_steps=problem.warmup, disable_progbar=True)
        mcmc.run(x, y)
        told = mcmc.diagnostics()
        # A gradient is an evaluation of the model and its backward pass.
        draws = {name.removeprefix("layer"): value.numpy() for name, value in mcmc.get_samples().items()}
        divergences = len(told["divergences"]["chain 0"])
        return Sampled(draws, Model.evaluations, told["acceptance rate"]["chain 0"], divergences)

    return chain


def in_torch(draws: Any) -> np.ndarray:
    """Draws of a weight in the layout of torch: matrices (draws, inputs, outputs) are transposed, biases are not."""
    array = np.asarray(draws)
    return array.swapaxes(1, 2) if array.ndim == 3 else array


PEERS: dict[str, Callable[[Problem], Chain]] = {
    "NumPyro NUTS": lambda problem: numpyro_peer(problem, "NUTS"),
    "NumPyro HMC": lambda problem: numpyro_peer(problem, "HMC"),
    "BlackJAX NUTS": blackjax_peer,
    "Pyro NUTS": lambda problem: pyro_peer(problem, "NUTS"),
    "Pyro HMC": lambda problem: pyro_peer(problem, "HMC"),
}
"""The samplers of others by name. The prepared samplers have the libraries' own settings."""
