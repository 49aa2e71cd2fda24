"""A network that is trained on predicted classes, and attacked in place of the ensemble."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hyperplanes import linear_problem

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft

SHAPES = [(2,), (1, 8, 8)]


def decided(epsilon: float, **fields: Any) -> bb.Threat:
    """A threat that gives predicted classes alone."""
    return bb.Threat(epsilon=epsilon, access="decisions", **fields)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_breaks_a_linear_victim_far_more_often_than_noise_and_no_image_that_is_too_far(
    shape: tuple[int, ...], norm: str
) -> None:
    predictive, x, y, exact = linear_problem(shape, images=80)
    epsilon = float(np.quantile(exact[norm], 0.9))
    threat = decided(epsilon, norm=norm)
    found = bb.attack("substitute").run(predictive, x, y, threat)
    noise = bb.attack("random-sign").run(predictive, x, y, threat)
    assert not found.success[exact[norm] > epsilon * (1 + 1e-4)].any()
    assert found.success.mean() > noise.success.mean() + 0.3


def test_predicted_classes_are_all_that_it_needs() -> None:
    predictive, x, y, _ = linear_problem((2,), images=20)
    attack = bb.attack("substitute", rounds=2)
    given = attack(predictive, x, y, bb.Threat(epsilon=0.1))
    assert torch.equal(given, attack(predictive, x, y, decided(0.1)))
    hard = bb.predictive(
        lambda points: (
            5 * torch.nn.functional.one_hot(predictive.log_probs(torch.as_tensor(points)).argmax(-1), 3).numpy() - 1
        )
    )
    assert torch.equal(given, attack(hard, x, y, bb.Threat(epsilon=0.1)))


@pytest.mark.parametrize(
    ("rounds", "queries", "asked"), [(0, 9, 1), (2, 9, 4), (3, 8, 8), (3, 7, 7), (5, 1, 1), (4, 11, 11)]
)
def test_an_image_costs_as_many_queries_as_it_has_points_within_the_budget(
    rounds: int, queries: int, asked: int
) -> None:
    predictive, x, y, _ = linear_problem((2,), images=20)
    for own, budget in ((queries, None), (32, queries)):
        attack = bb.attack("substitute", rounds=rounds, queries=own, epochs=1)
        found = attack.run(predictive, x, y, decided(0.1, queries=budget))
        assert found.passes.tolist() == [asked] * len(x)
        assert found.gradient_passes.tolist() == [0] * len(x)


def test_several_radii_share_one_substitute() -> None:
    predictive, x, y, _ = linear_problem((2,), images=20)
    attack = bb.attack("substitute", rounds=2, queries=4)
    threats = [decided(epsilon, queries=4) for epsilon in (0.05, 0.2)]
    together = attack.run(predictive, x, y, threats, seed=2)
    for threat, one in zip(threats, together, strict=True):
        assert torch.equal(one.inputs, attack(predictive, x, y, threat, seed=2))
        assert one.passes.tolist() == [4] * len(x)


def test_an_attack_that_holds_it_may_have_spent_the_budget_or_no_image() -> None:
    class Spent(bb.Attack):
        """Asks for a class of some images before."""

        keep: int = 10

        def perturb(self, victim, x, y, threat, rng):  # type: ignore[no-untyped-def]
            victim.among(torch.arange(10)).decisions(x[:10])
            kept = torch.arange(self.keep)
            inner = bb.attack("substitute", rounds=2, epochs=2)
            return torch.cat([inner.run_on(victim.among(kept), x[kept], y[kept], threat, rng), x[self.keep :]])

    predictive, x, y, _ = linear_problem((2,), images=20)
    for keep, queries, asked in ((10, 1, [1] * 10), (0, 1, [1] * 10), (10, 3, [3] * 10), (15, 2, [2] * 15)):
        found = Spent(keep=keep).run(predictive, x, y, decided(0.1, queries=queries))
        assert found.passes.tolist() == asked + [0] * (len(x) - len(asked))


@pytest.mark.parametrize("shape", SHAPES)
def test_one_seed_gives_one_result_and_torchs_own_generator_stays_as_it_is(shape: tuple[int, ...]) -> None:
    predictive, x, y, _ = linear_problem(shape, images=20)
    attack = bb.attack("substitute", rounds=2)
    before = torch.get_rng_state()
    first = attack(predictive, x, y, decided(0.1), seed=3)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    with torch.no_grad():
        assert torch.equal(first, attack(predictive, x, y, decided(0.1), seed=3))
    torch.set_rng_state(before)
    assert not torch.equal(first, attack(predictive, x, y, decided(0.1), seed=4))


def test_it_obeys_the_rules_of_the_core_in_an_evaluation() -> None:
    predictive, x, y, _ = linear_problem((1, 8, 8), images=20)
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    outcome = bb.evaluate(predictive, bb.attack("substitute", rounds=1), data, threat=decided(0.1), images=len(x))
    assert outcome.passes.tolist() == [2] * len(x)


def test_classes_that_are_first_met_in_a_later_round_are_learned() -> None:
    """All inputs have class 0; class 3 begins just beyond them, and the points of the augmentation meet it."""

    def scores(points: np.ndarray) -> np.ndarray:
        beyond = np.asarray(points)[:, :1] > 0.5
        return np.where(beyond, [[0.0, 0.0, 0.0, 5.0]], [[5.0, 0.0, 0.0, 0.0]])

    x = torch.rand(40, 2, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.28
    y = torch.zeros(40, dtype=torch.long)
    found = bb.attack("substitute", rounds=5, step=0.15).run(scores, x, y, decided(0.3))
    assert found.success.mean() > 0.8


def test_twice_the_effort_is_one_round_more() -> None:
    stronger = bb.attack("substitute", rounds=3, queries=8).stronger()
    assert stronger == bb.attack("substitute", rounds=4, queries=16)


def test_whether_the_substitute_is_broken_is_recorded_for_each_radius_and_not_counted() -> None:
    predictive, x, y, exact = linear_problem((2,), images=60)
    radii = [float(np.quantile(exact["linf"], share)) for share in (0.2, 0.8)]
    threats = [decided(epsilon) for epsilon in radii]
    made = craft(bb.attack("substitute"), predictive, x, y, threats, seed=0)
    shares = [one.steps["surrogate_broken"] for one in made]
    assert [share.shape for share in shares] == [(1, 60), (1, 60)]
    assert 0 < shares[0].mean() < shares[1].mean()
    # On a linear problem the substitute is nearly the victim, so nearly the same images are broken.
    for one, share in zip(made, shares, strict=True):
        broken = predictive.log_probs(one.inputs).argmax(-1) != y
        assert (share[0].bool() == broken).double().mean() > 0.9
        assert one.forward_passes.tolist() == [32] * len(x)
