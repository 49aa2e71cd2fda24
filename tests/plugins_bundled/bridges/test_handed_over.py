"""What a bridge hands to a library and takes from it."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from bnnbench_plugins.bridges.handed_over import Asked, seeded, settled
from known import random_ensemble, random_inputs

import bnnbench as bb


def asked(threat: bb.Threat) -> tuple[Asked, bb.Victim, bb.Predictive, torch.Tensor]:
    predictive, (x, y) = random_ensemble(), random_inputs()
    victim = bb.Victim(predictive, threat, range(len(predictive)), len(x))
    return Asked(victim, y, threat), victim, predictive, x


def test_the_module_returns_the_log_probabilities_with_their_gradient() -> None:
    model, victim, predictive, unit = asked(bb.Threat(epsilon=0.1, bounds=(-1, 3)))
    x = 4 * unit - 1
    assert torch.equal(model(unit), predictive.log_probs(x))
    assert victim.ledger.gradient.sum() == 0
    unit.requires_grad_()
    (gradient,) = torch.autograd.grad(model(unit)[:, 0].sum(), unit)
    x.requires_grad_()
    (expected,) = torch.autograd.grad(predictive.log_probs(x)[:, 0].sum(), x)
    torch.testing.assert_close(gradient, 4 * expected)
    assert victim.ledger.forward.tolist() == [2] * len(x)
    assert victim.ledger.gradient.tolist() == [1] * len(x)


def test_the_module_gives_what_the_threat_gives() -> None:
    model, _, predictive, x = asked(bb.Threat(epsilon=0.1, access="decisions"))
    scores = model(x)
    assert torch.equal(scores.argmax(-1), predictive.log_probs(x).argmax(-1))
    assert torch.equal(scores.sort(-1).values, torch.eye(3, dtype=x.dtype)[2].expand_as(scores))
    for access in ("scores", "decisions"):
        with pytest.raises(bb.GradientRefused):
            asked(bb.Threat(epsilon=0.1, access=access))[0](x.clone().requires_grad_())


def test_the_module_is_in_eval_mode_and_tells_its_device() -> None:
    model, *_ = asked(bb.Threat(epsilon=0.1))
    assert not model.training
    assert next(model.parameters()).device == torch.device("cpu")


def test_global_random_states_are_those_of_the_seed_and_then_as_before() -> None:
    def drawn() -> list[float]:
        return [torch.rand(()).item(), np.random.rand(), random.random()]  # noqa: NPY002

    with torch.random.fork_rng(devices=[]):
        before = random.getstate(), np.random.get_state()  # noqa: NPY002
        torch.manual_seed(1)
        expected = torch.rand(()).item()
        torch.manual_seed(1)
        with seeded(7):
            one = drawn()
        assert torch.rand(()).item() == expected
        with seeded(7):
            assert drawn() == one
        with seeded(8):
            assert not set(drawn()) & set(one)
        assert random.getstate() == before[0]
        assert np.random.get_state()[1].tolist() == before[1][1].tolist()  # noqa: NPY002


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_rounding_is_projected_and_more_is_left_for_the_core_to_refuse(norm: str) -> None:
    threat = bb.Threat(epsilon=0.1, norm=norm)
    x = torch.full((4, 3), 0.5, dtype=torch.float64)
    made = x.clone()
    made[:, 0] += torch.tensor([0.05, 0.1 + 5e-6, 0.1 + 1e-3, -0.1 - 5e-6], dtype=torch.float64)
    kept = settled(x, made, threat)
    assert torch.equal(kept[[0, 2]], made[[0, 2]])
    assert (threat.distance(x, kept)[[1, 3]] <= 0.1 + 1e-12).all()
    assert torch.equal(settled(x, torch.full_like(x, torch.nan), threat).isnan(), torch.ones(4, 3, dtype=torch.bool))


def test_rounding_at_the_end_of_the_box_is_projected() -> None:
    threat = bb.Threat(epsilon=0.5)
    x = torch.tensor([[0.9, 0.1], [0.9, 0.1]])
    made = torch.tensor([[1 + 2e-6, -2e-6], [1.1, 0.1]])
    kept = settled(x, made, threat)
    assert kept[0].tolist() == [1, 0]
    assert torch.equal(kept[1], made[1])
