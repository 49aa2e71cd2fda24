"""Access of an attack to its victim: refused gradients, counted queries, recorded values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from known import random_ensemble, random_inputs
from torch import Tensor, nn

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft


def attack(function: Callable[[bb.Victim, Tensor, Tensor], Tensor]) -> bb.Attack:
    class Odd(bb.Attack):
        """For these tests."""

        def perturb(self, victim, x, y, threat, rng):  # type: ignore[no-untyped-def]
            return function(victim, x, y)

    return Odd()


def test_gradients_are_refused_where_only_scores_are_given() -> None:
    x, y = random_inputs()
    scores = bb.Threat(epsilon=0.1, access="scores")
    for name in ("fgsm", "pgd"):
        with pytest.raises(bb.GradientRefused):
            bb.attack(name)(random_ensemble(), x, y, scores)
    assert bb.attack("random-sign", tries=3)(random_ensemble(), x, y, scores).shape == x.shape


@pytest.mark.parametrize(
    "ask",
    [
        lambda victim, x, y: victim.logits(x),
        lambda victim, x, y: victim.log_probs(x),
        lambda victim, x, y: victim.value(x, y, "log-margin"),
        lambda victim, x, y: victim.score(x, y, "log-margin"),
    ],
)
def test_scores_are_refused_where_only_decisions_are_given(ask: Callable[[bb.Victim, Tensor, Tensor], object]) -> None:
    x, y = random_inputs()
    with pytest.raises(bb.ScoresRefused, match=r"^this threat gives the attacker predicted classes, not scores$"):
        attack(lambda victim, x, y: (ask(victim, x, y), x)[1])(
            random_ensemble(), x, y, bb.Threat(epsilon=0.1, access="decisions")
        )


def test_gradients_are_refused_where_only_decisions_are_given() -> None:
    x, y = random_inputs()
    with pytest.raises(bb.GradientRefused, match=r"^this threat gives the attacker predicted classes, not gradients$"):
        bb.attack("fgsm")(random_ensemble(), x, y, bb.Threat(epsilon=0.1, access="decisions"))


def test_decisions_are_the_predicted_classes_and_count_as_queries() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs()
    seen = []
    look = attack(lambda victim, x, y: (seen.append(victim.decisions(x)), x)[1])
    (made,) = craft(look, predictive, x, y, [bb.Threat(epsilon=0.1, access="decisions")], seed=0)
    assert torch.equal(seen[0], predictive.log_probs(x).argmax(-1))
    assert made.forward_passes.tolist() == [1] * len(x)
    assert made.gradient_passes.tolist() == [0] * len(x)


def test_a_victim_shows_the_draws_of_its_stream_and_counts() -> None:
    predictive, (x, y) = random_ensemble(draws=8), random_inputs()
    seen: dict[str, object] = {}

    def look(victim: bb.Victim, x: Tensor, y: Tensor) -> Tensor:
        seen["len"], seen["logits"] = len(victim), victim.logits(x)
        value, direction = victim.value_and_direction(x, y, "log-margin")
        seen["value"], seen["direction"] = value, direction
        assert torch.allclose(victim.value(x, y, "log-margin"), value)
        victim.record("value", value)
        victim.log_probs(x[:5])
        return x

    fresh = bb.Threat(epsilon=0.1, stream="independent")
    (made,) = craft(attack(look), predictive, x, y, [fresh], seed=0)
    assert seen["len"] == 4
    assert torch.equal(seen["logits"], predictive.logits(x, [4, 5, 6, 7]))  # type: ignore[arg-type]
    assert made.forward_passes.mean() == pytest.approx(3 + 5 / 11)
    assert made.gradient_passes.tolist() == [1] * 11
    assert torch.equal(made.steps["value"][0], seen["value"])  # type: ignore[arg-type]


def test_scores_are_all_that_logits_give_where_gradients_are_refused() -> None:
    class Sly(bb.Attack):
        """Asks for logits and differentiates them itself."""

        def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
            leaf = x.clone().requires_grad_()
            loss = nn.functional.cross_entropy(victim.logits(leaf).mean(0), y)
            return (x + 0.1 * torch.autograd.grad(loss, leaf)[0].sign()).clamp(0, 1)

    x, y = random_inputs()
    with pytest.raises(RuntimeError, match="does not require grad"):
        Sly()(random_ensemble(), x, y, bb.Threat(epsilon=0.1, access="scores"))
    (made,) = craft(Sly(), random_ensemble(), x, y, [bb.Threat(epsilon=0.1)], seed=0)
    assert made.gradient_passes.tolist() == [1] * len(x)


def test_records_are_copies_of_the_right_shape() -> None:
    class Recording(bb.Attack):
        """Records one tensor that it goes on changing."""

        def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
            count = torch.zeros(len(x))
            for _ in range(3):
                count += 1
                victim.record("count", count)
            with pytest.raises(ValueError, match="has shape"):
                victim.record("count", count[:2])
            return x

    (made,) = craft(Recording(), random_ensemble(), *random_inputs(), [bb.Threat(epsilon=0.1)], seed=0)
    assert made.steps["count"][:, 0].tolist() == [1, 2, 3]


HALF_MOONS = bb.dataset("half-moons", train_size=100, test_size=50)


def network(data: bb.Data) -> torch.nn.Module:
    return bb.network("fc", hidden=(4,)).build(data)


class Peeking(bb.Attack):
    """Asks for gradients under a threat of its own making."""

    def perturb(self, victim, x, y, threat, rng):
        victim.under(replace(threat, access="gradient")).gradient(x, y, "predictive-nll")
        return x.clone()


def test_an_attack_gives_itself_no_more_than_its_threat_allows() -> None:
    data = HALF_MOONS.load(seed=0)
    predictive = bb.fit(bb.posterior("sgd", epochs=1), network(data), data)
    with pytest.raises(ValueError, match="differs in more than norm and epsilon"):
        bb.evaluate(predictive, Peeking(), data, threat=bb.Threat(epsilon=0.1, access="scores"), images=20)


def test_a_zero_direction_is_noted_at_the_image_that_was_asked_about() -> None:
    """A network that does not look at its input where that is 0.5 exactly."""

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            score = self.weight * (x[:, 0] - 0.5).pow(2)
            return torch.stack([score, -score], 1)

    from bnnbench.core.victim import Victim

    predictive = bb.Predictive(Flat(), {"weight": np.ones((2, 1), "f4")})
    x = torch.tensor([[0.1], [0.5], [0.7], [0.5]])
    y = torch.zeros(4, dtype=torch.long)
    victim = Victim(predictive, bb.Threat(epsilon=0.1), [0, 1], 4)
    some = torch.tensor([2, 3])
    victim.among(some).direction(x[some], y[some], "predictive-nll")
    assert victim.ledger.zero_direction.tolist() == [False, False, False, True]
    assert victim.ledger.gradient.tolist() == [0, 0, 1, 1]
    victim.direction(x, y, "predictive-nll")
    assert victim.ledger.zero_direction.tolist() == [False, True, False, True]
