"""Milliseconds of one leapfrog step: our samplers, the engines as they are, BlackJAX, and the gradient alone.

python speed/leapfrog.py           (some minutes; BlackJAX is compared where installed)
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


def problem(inputs: int, hidden: tuple[int, ...], classes: int, number: int) -> tuple[nn.Module, bb.Data]:
    """A network, and random data of its shape."""
    x, y = measuring.images(number, (inputs,), classes)
    data = bb.Data(train=(x, y), test=(x[:10], y[:10]), classes=classes)
    return bb.network("fc", hidden=hidden).build(data), data


def floor(network: nn.Module, data: bb.Data) -> Work:
    """The gradient of the log-likelihood by torch's autograd, and nothing else."""
    x, y = data.train
    own = network.requires_grad_(True)

    def gradient() -> None:
        loss = nn.functional.cross_entropy(own(x), y, reduction="sum")
        torch.autograd.grad(loss, list(own.parameters()))

    return gradient


def pyro_gradients(network: nn.Module, data: bb.Data) -> dict[str, Work]:
    """One gradient of Pyro's potential: of the model as its users write it, and of ours."""
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


def of_our_sampler(name: str, network: nn.Module, data: bb.Data, transitions: int, **settings: Any) -> float:
    """CPU seconds of a leapfrog step of one of our posteriors, start-up and compilation left out."""

    def fit(draws: int) -> tuple[float, int]:
        posterior = bb.posterior(name, draws=draws, warmup=0, step_size=STEP_SIZE, adapt_step_size=False, **settings)
        started = time.process_time()
        found = posterior.fit(network, data, seed=0)
        return time.process_time() - started, found.diagnostics["gradients"]

    fit(1)
    few, many = fit(1), fit(1 + transitions)
    return (many[0] - few[0]) / (many[1] - few[1])


def of_bare_numpyro(network: nn.Module, data: bb.Data, transitions: int) -> float:
    """The same of NumPyro's own `MCMC` with HMC, on the same potential."""
    import jax
    from bnnbench_plugins.numpyro.interpreter import JaxNetwork
    from bnnbench_plugins.numpyro.sampling import _potential
    from numpyro.infer import HMC, MCMC

    start = {name: jax.numpy.asarray(weight.detach().numpy()) for name, weight in network.named_parameters()}
    x, y = (jax.numpy.asarray(part.numpy()) for part in data.train)
    kernel = HMC(
        potential_fn=_potential(JaxNetwork(network), {}, 1.0)(x, y),
        step_size=STEP_SIZE,
        num_steps=STEPS,
        adapt_step_size=False,
    )
    return _slope(lambda mcmc: mcmc.run(jax.random.PRNGKey(0), init_params=start), MCMC, kernel, transitions)


def _slope(run: Callable[[Any], None], mcmc: Any, kernel: Any, transitions: int) -> float:
    seconds = []
    for number in (1, 1 + transitions):
        chain = mcmc(kernel, num_warmup=0, num_samples=number, progress_bar=False)
        run(chain)
        started = time.process_time()
        run(chain)
        seconds.append(time.process_time() - started)
    return (seconds[1] - seconds[0]) / (transitions * STEPS)


def of_blackjax(network: nn.Module, data: bb.Data, transitions: int) -> float:
    """The same of BlackJAX, its transitions in one compiled scan. Raises `ImportError` where it is not installed."""
    import blackjax
    import jax
    from bnnbench_plugins.numpyro.interpreter import JaxNetwork
    from bnnbench_plugins.numpyro.sampling import _potential

    start = {name: jax.numpy.asarray(weight.detach().numpy()) for name, weight in network.named_parameters()}
    x, y = (jax.numpy.asarray(part.numpy()) for part in data.train)
    given = _potential(JaxNetwork(network), {}, 1.0)
    size = sum(weight.size for weight in start.values())

    def chain(x: Any, y: Any, number: int) -> Any:
        potential = given(x, y)
        kernel = blackjax.hmc(lambda w: -potential(w), STEP_SIZE, jax.numpy.ones(size), STEPS)
        keys = jax.random.split(jax.random.PRNGKey(0), number)
        return jax.lax.scan(lambda state, key: (kernel.step(key, state)[0], None), kernel.init(start), keys)[0]

    program = jax.jit(chain, static_argnums=2)
    seconds = []
    for number in (1, 1 + transitions):
        jax.block_until_ready(program(x, y, number))
        started = time.process_time()
        jax.block_until_ready(program(x, y, number))
        seconds.append(time.process_time() - started)
    return (seconds[1] - seconds[0]) / (transitions * STEPS)


def one(inputs: int, hidden: tuple[int, ...], classes: int, number: int, transitions: int) -> dict[str, float]:
    """Seconds of a leapfrog step by every way, on one network and number of training points."""
    network, data = problem(inputs, hidden, classes, number)
    gradients = {"torch's gradient alone": floor(network, data), **pyro_gradients(network, data)}
    seconds = in_turns(gradients, 7)
    seconds["pyro-hmc"] = of_our_sampler("pyro-hmc", network, data, transitions, leapfrog_steps=STEPS)
    seconds["numpyro-hmc"] = of_our_sampler("numpyro-hmc", network, data, transitions, leapfrog_steps=STEPS)
    seconds["numpyro-nuts"] = of_our_sampler("numpyro-nuts", network, data, transitions, max_tree_depth=4)
    seconds["NumPyro's MCMC with HMC"] = of_bare_numpyro(network, data, transitions)
    with contextlib.suppress(ImportError):
        seconds["BlackJAX HMC"] = of_blackjax(network, data, transitions)
    return seconds


CASES: list[tuple[int, tuple[int, ...], int, int, int]] = [
    (2, (32, 32), 2, 5000, 20),
    (784, (128,), 10, 10_000, 3),
    (784, (512, 512), 10, 10_000, 1),
]


def report(quick: bool) -> str:
    """The table: milliseconds by way and network."""
    cases = CASES[:1] if quick else CASES
    found = [one(*case) for case in cases]
    head = ["way, ms a step"] + [
        f"{'-'.join(map(str, (inputs, *hidden, classes)))}, {number} points"
        for inputs, hidden, classes, number, _ in cases
    ]
    rows = [[way, *(f"{1e3 * seconds[way]:.2f}" for seconds in found)] for way in found[0]]
    return table("One leapfrog step, one thread", head, rows)


if __name__ == "__main__":
    torch.manual_seed(0)
    print(f"{measuring.machine()}\n\n{report(quick=False)}")
