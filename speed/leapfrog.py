"""Time one leapfrog step of the bundled samplers, of the engines themselves, of BlackJAX, and of the gradient alone.

python speed/leapfrog.py           (some minutes; BlackJAX is included if it is installed)
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import measuring
import torch
from measuring import Work, in_turns, table
from torch import nn
from torch.func import functional_call

import bnnbench as bb

STEPS = 20
"""Leapfrog steps of each transition."""
STEP_SIZE = 1e-4
"""Leapfrog step size: so small that no transition diverges."""


def problem(inputs: int, hidden: tuple[int, ...], classes: int, number: int) -> tuple[nn.Module, bb.Data]:
    """A fully connected network, and random data for it with `number` training points."""
    x, y = measuring.images(number, (inputs,), classes)
    data = bb.Data(train=(x, y), test=(x[:10], y[:10]), classes=classes)
    return bb.network("fc", hidden=hidden).build(data), data


def gradient_alone(network: nn.Module, data: bb.Data) -> Work:
    """A function that computes the gradient of the log-likelihood by autograd: the least that a step costs."""
    x, y = data.train
    trained = network.requires_grad_(True)

    def gradient() -> None:
        loss = nn.functional.cross_entropy(trained(x), y, reduction="sum")
        torch.autograd.grad(loss, list(trained.parameters()))

    return gradient


def pyro_gradients(network: nn.Module, data: bb.Data) -> dict[str, Work]:
    """Functions that compute one gradient of Pyro's potential: that of a Pyro model, and the bundled sampler's."""
    import pyro
    import pyro.distributions as distributions
    from bnnbench_plugins.pyro.sampling import negative_log_posterior
    from pyro.infer.mcmc.util import initialize_model
    from pyro.ops.integrator import potential_grad

    x, y = data.train
    weights = {name: weight.detach().clone() for name, weight in network.named_parameters()}

    def model() -> None:
        drawn = {
            name: pyro.sample(name, distributions.Normal(0.0, 1.0).expand(weight.shape).to_event(weight.ndim))
            for name, weight in weights.items()
        }
        logits = functional_call(network, drawn, (x,))
        pyro.sample("y", distributions.Categorical(logits=logits).to_event(1), obs=y)

    _, of_model, _, _ = initialize_model(model)
    ours = negative_log_posterior(network, data, 1.0)
    return {
        "Pyro's potential of a model": lambda: potential_grad(of_model, dict(weights)),
        "our potential for Pyro": lambda: potential_grad(ours, dict(weights)),
    }


Timed = Callable[[int], tuple[float, int]]
"""A function that samples a number of transitions, and returns their CPU seconds and their number of leapfrog steps.

Compilation is not included."""


def seconds_per_step(timed: Timed, transitions: int, repeats: int) -> float:
    """CPU seconds of one leapfrog step: the difference between a long and a short chain, divided by their steps.

    The fastest run of each is taken.
    """
    (few, first), (many, last) = (min(timed(number) for _ in range(1 + repeats)) for number in (1, 1 + transitions))
    return (many - few) / (last - first)


def bundled_sampler(name: str, network: nn.Module, data: bb.Data, **settings: Any) -> Timed:
    """A bundled posterior, timed."""

    def timed(number: int) -> tuple[float, int]:
        posterior = bb.posterior(name, draws=number, warmup=0, step_size=STEP_SIZE, adapt_step_size=False, **settings)
        started = time.process_time()
        draws = posterior.fit(network, data, seed=0)
        return time.process_time() - started, draws.diagnostics["gradients"]

    return timed


def numpyro_mcmc(network: nn.Module, data: bb.Data) -> Timed:
    """NumPyro's class `MCMC` with HMC on the same potential, timed."""
    import jax
    from numpyro.infer import HMC, MCMC

    start, potential, _ = potential_in_jax(network, data)
    kernel = HMC(potential_fn=potential, step_size=STEP_SIZE, num_steps=STEPS, adapt_step_size=False)
    chains: dict[int, Any] = {}

    def timed(number: int) -> tuple[float, int]:
        if number not in chains:
            chains[number] = MCMC(kernel, num_warmup=0, num_samples=number, progress_bar=False)
            chains[number].run(jax.random.PRNGKey(0), init_params=start)
        started = time.process_time()
        chains[number].run(jax.random.PRNGKey(0), init_params=start)
        jax.block_until_ready(chains[number].get_samples())
        return time.process_time() - started, number * STEPS

    return timed


def blackjax_hmc(network: nn.Module, data: bb.Data) -> Timed:
    """BlackJAX's HMC with all transitions in one compiled scan, timed. Raises `ImportError` if it is not installed."""
    import blackjax
    import jax

    start, potential, size = potential_in_jax(network, data)
    kernel = blackjax.hmc(lambda weights: -potential(weights), STEP_SIZE, jax.numpy.ones(size), STEPS)

    def chain(weights: Any, number: int) -> Any:
        keys = jax.random.split(jax.random.PRNGKey(0), number)
        return jax.lax.scan(lambda state, key: (kernel.step(key, state)[0], None), kernel.init(weights), keys)[0]

    program = jax.jit(chain, static_argnums=1)

    def timed(number: int) -> tuple[float, int]:
        jax.block_until_ready(program(start, number))
        started = time.process_time()
        jax.block_until_ready(program(start, number))
        return time.process_time() - started, number * STEPS

    return timed


def potential_in_jax(network: nn.Module, data: bb.Data) -> tuple[dict[str, Any], Any, int]:
    """The network's weights, the potential as a function of weights, and the number of weights."""
    import jax
    from bnnbench_plugins.numpyro.potential import inputs, negative_log_posterior

    start = {name: jax.numpy.asarray(weight.detach().numpy()) for name, weight in network.named_parameters()}
    potential = negative_log_posterior(network, data)(*inputs(data, 1.0))
    return start, potential, sum(weight.size for weight in start.values())


def measured(
    inputs: int, hidden: tuple[int, ...], classes: int, number: int, transitions: int, repeats: int
) -> dict[str, float]:
    """CPU seconds of one leapfrog step by every way, for one network and number of training points."""
    network, data = problem(inputs, hidden, classes, number)
    gradients = {"torch's gradient alone": gradient_alone(network, data), **pyro_gradients(network, data)}
    ways: dict[str, Timed] = {
        "pyro-hmc": bundled_sampler("pyro-hmc", network, data, leapfrog_steps=STEPS),
        "numpyro-hmc": bundled_sampler("numpyro-hmc", network, data, leapfrog_steps=STEPS),
        "numpyro-nuts": bundled_sampler("numpyro-nuts", network, data, max_tree_depth=4),
        "NumPyro's MCMC with HMC": numpyro_mcmc(network, data),
    }
    with contextlib.suppress(ImportError):
        ways["BlackJAX HMC"] = blackjax_hmc(network, data)
    return in_turns(gradients, 7) | {way: seconds_per_step(timed, transitions, repeats) for way, timed in ways.items()}


CASES: list[tuple[int, tuple[int, ...], int, int, int, int]] = [
    (2, (32, 32), 2, 5000, 40, 5),
    (784, (128,), 10, 10_000, 3, 2),
    (784, (512, 512), 10, 10_000, 1, 1),
]
"""Inputs, hidden units, classes, training points, transitions and repetitions of each case."""


def report(quick: bool) -> str:
    """A table of the milliseconds of a leapfrog step by way and network, in markdown."""
    cases = CASES[:1] if quick else CASES
    by_case = [measured(*case) for case in cases]
    head = ["way, ms a step"] + [
        f"{'-'.join(map(str, (inputs, *hidden, classes)))}, {number} points"
        for inputs, hidden, classes, number, *_ in cases
    ]
    rows = [[way, *(f"{1e3 * seconds[way]:.2f}" for seconds in by_case)] for way in by_case[0]]
    return table("One leapfrog step, one thread", head, rows)


if __name__ == "__main__":
    torch.manual_seed(0)
    print(f"{measuring.machine()}\n\n{report(quick=False)}")
