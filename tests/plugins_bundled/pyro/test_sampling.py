"""Pyro's sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from logistic import NoBias, problem

import bnnbench as bb


def test_pyros_diagnostics_are_those_of_its_transitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients as counted at the potential itself, and acceptance as Metropolis's rule gives it."""
    from bnnbench_plugins.pyro import sampling

    evaluations, accepted = [0], []
    original, verlet = sampling.negative_log_posterior, sampling.HMC.sample

    def counting(*arguments: Any) -> Any:
        potential = original(*arguments)

        def counted(weights: dict[str, torch.Tensor]) -> torch.Tensor:
            evaluations[0] += 1
            return potential(weights)

        return counted

    def sample(kernel: Any, weights: Any) -> Any:
        before = kernel._mean_accept_prob, kernel._t
        moved = verlet(kernel, weights)
        accepted.append((before, kernel._mean_accept_prob, kernel._t))
        return moved

    monkeypatch.setattr(sampling, "negative_log_posterior", counting)
    monkeypatch.setattr(sampling.HMC, "sample", sample)
    posterior = bb.posterior(
        "pyro-hmc", draws=12, warmup=0, leapfrog_steps=4, step_size=0.8, adapt_step_size=False, thin=2
    )
    diagnostics = posterior.fit(NoBias(2), problem(2), seed=0).diagnostics
    # One more at the start of the chain.
    assert evaluations[0] - 1 == diagnostics["gradients"] == 24 * 4
    mean = float(np.mean(diagnostics["acceptance"]))
    assert mean == pytest.approx(accepted[-1][1], abs=1e-9)
    assert diagnostics["acceptance"].std() > 0.01
    assert ((diagnostics["acceptance"] >= 0) & (diagnostics["acceptance"] <= 1)).all()


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
