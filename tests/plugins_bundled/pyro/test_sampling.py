"""Pyro's sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from logistic import NoBias, problem

import bnnbench as bb


def test_the_gradients_are_those_that_were_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted at the potential itself, the trials of step sizes included."""
    from bnnbench_plugins.pyro import sampling

    evaluations, original = [0], sampling.negative_log_posterior

    def counting(*arguments: Any) -> Any:
        potential = original(*arguments)

        def counted(weights: dict[str, torch.Tensor]) -> torch.Tensor:
            evaluations[0] += 1
            return potential(weights)

        return counted

    monkeypatch.setattr(sampling, "negative_log_posterior", counting)
    for warmup in (0, 15):
        evaluations[0] = 0
        posterior = bb.posterior("pyro-hmc", draws=12, warmup=warmup, leapfrog_steps=4, step_size=0.1, thin=2)
        diagnostics = posterior.fit(NoBias(2), problem(2), seed=0).diagnostics
        # One more at the start of the chain.
        assert evaluations[0] - 1 == diagnostics["gradients"] >= (24 + warmup) * 4
    assert diagnostics["gradients"] > (24 + warmup) * 4


def test_the_acceptance_is_that_of_metropolis_rule() -> None:
    """The energies before and after five leapfrog steps of a quartic potential, written out in float64."""
    from bnnbench_plugins.pyro.engine import PyroEngine

    start, step, inverse_mass = [0.5, -1.0, 0.3], 0.3, np.array([0.5, 1.0, 2.0], "f4")

    def energy(place: np.ndarray, momentum: np.ndarray) -> float:
        return float((place**4).sum() + (momentum**2 * inverse_mass).sum() / 2)

    found, expected = [], []
    for seed in range(8):
        with torch.random.fork_rng():
            engine = PyroEngine(lambda weights: (weights["w"] ** 4).sum(), {"w": torch.tensor(start)})
            made = engine.transition((seed, 0), step_size=step, inverse_mass=inverse_mass, leapfrog_steps=5)
            found.append(made.acceptance)
            torch.manual_seed(seed)
            momentum = torch.normal(torch.zeros(3), torch.ones(3)).double().numpy() / np.sqrt(inverse_mass)
        place = np.array(start)
        first = energy(place, momentum)
        for _ in range(5):
            momentum = momentum - step / 2 * 4 * place**3
            place = place + step * inverse_mass * momentum
            momentum = momentum - step / 2 * 4 * place**3
        expected.append(min(1.0, np.exp(first - energy(place, momentum))))
    assert found == pytest.approx(expected, abs=1e-4)
    assert sum(acceptance < 0.999 for acceptance in found) > 1


@pytest.mark.parametrize(("network", "parameters"), [("fc", {"hidden": (5, 4)}), ("conv", {"hidden": 3})])
@pytest.mark.parametrize("prior", [0.3, 2.0])
def test_pyros_potential_is_that_of_the_plain_model(network: str, parameters: dict[str, Any], prior: float) -> None:
    """The same gradients as those of the Pyro model that one would write, and the same density up to a constant."""
    import pyro
    from bnnbench_plugins.pyro.sampling import negative_log_posterior
    from pyro import distributions
    from pyro.infer.mcmc.util import initialize_model
    from pyro.ops.integrator import potential_grad

    generator = torch.Generator().manual_seed(0)
    shape = (1, 28, 28) if network == "conv" else (6,)
    x, y = torch.rand(20, *shape, generator=generator), torch.randint(0, 3, (20,), generator=generator)
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    module = bb.network(network, **parameters).build(data)

    def model() -> None:
        weights = {
            name: pyro.sample(name, distributions.Normal(0.0, prior).expand(weight.shape).to_event(weight.ndim))
            for name, weight in module.named_parameters()
        }
        logits = torch.func.functional_call(module, weights, (x,))
        pyro.sample("label", distributions.Categorical(logits=logits).to_event(1), obs=y)

    _, plain, _, _ = initialize_model(model)
    ours = negative_log_posterior(module, data, prior)
    constants = []
    for _ in range(3):
        weights = {
            name: torch.randn(weight.shape, generator=generator) * prior for name, weight in module.named_parameters()
        }
        expected, reference = potential_grad(plain, dict(weights))
        gradients, value = potential_grad(ours, dict(weights))
        constants.append(float(reference - value))
        for name, gradient in gradients.items():
            assert torch.allclose(gradient, expected[name], rtol=1e-3, atol=1e-3 * float(expected[name].abs().max()))
    assert np.ptp(constants) < 1e-3 * max(1.0, abs(constants[0]))
