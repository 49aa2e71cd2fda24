"""Victims compose: what an attack inside of an attack asks for is booked to the right images."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known import random_ensemble, random_inputs
from torch import Tensor

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft
from bnnbench.core.victim import Victim

THREAT = bb.Threat(epsilon=0.1)


def victim(images: int = 6, threat: bb.Threat = THREAT) -> Victim:
    return Victim(random_ensemble(), threat, range(7), images)


def counts(*positions: int, images: int = 6) -> list[float]:
    return [float(positions.count(image)) for image in range(images)]


def test_views_of_views_charge_the_right_images() -> None:
    whole = victim()
    x, y = random_inputs(images=6)
    outer = whole.among(torch.tensor([1, 3, 5]))
    inner = outer.among(torch.tensor([0, 2]))
    inner.log_probs(x[[1, 5]])
    assert whole.ledger.forward.tolist() == counts(1, 5)
    inner.direction(x[[1, 5]], y[[1, 5]], "predictive-nll")
    outer.log_probs(x[[1, 3, 5]])
    assert whole.ledger.forward.tolist() == counts(1, 5, 1, 5, 1, 3, 5)
    assert whole.ledger.gradient.tolist() == counts(1, 5)


@settings(max_examples=30)
@given(
    outer=st.lists(st.integers(0, 5), min_size=1, max_size=9),
    picks=st.lists(st.integers(0, 1000), min_size=1, max_size=9),
)
def test_any_chain_of_views_is_the_composition_of_its_positions(outer: list[int], picks: list[int]) -> None:
    whole, inner = victim(), [pick % len(outer) for pick in picks]
    x, _ = random_inputs(images=len(inner))
    whole.among(torch.tensor(outer)).among(torch.tensor(inner)).log_probs(x)
    assert whole.ledger.forward.tolist() == counts(*(outer[pick] for pick in inner))


def test_an_image_that_stands_several_times_in_one_query_is_charged_each_time() -> None:
    whole = victim()
    x, y = random_inputs(images=6)
    positions = torch.tensor([2, 2, 2, 4])
    whole.among(positions).log_probs(x[positions])
    assert whole.ledger.forward.tolist() == counts(2, 2, 2, 4)
    whole.among(positions).direction(x[positions], y[positions], "predictive-nll")
    assert whole.ledger.gradient.tolist() == counts(2, 2, 2, 4)
    assert whole.ledger.forward.tolist() == counts(2, 2, 2, 4, 2, 2, 2, 4)


def test_steps_of_some_images_are_not_a_number_for_the_others() -> None:
    whole = victim(images=4)
    whole.among(torch.tensor([3, 1])).record("objective", torch.tensor([0.3, 0.1]))
    whole.record("objective", torch.arange(4.0))
    first, second = whole.ledger.steps["objective"]
    assert first.isnan().tolist() == [True, False, True, False]
    assert first[[3, 1]].tolist() == pytest.approx([0.3, 0.1])
    assert second.tolist() == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="shape"):
        whole.among(torch.tensor([0])).record("objective", torch.zeros(4))


def test_of_several_values_of_an_image_the_largest_is_recorded() -> None:
    """As when one image is attacked towards several classes at the same time."""
    whole = victim(images=4)
    several = whole.among(torch.tensor([2, 0, 2, 2]))
    several.record("objective", torch.tensor([-1.0, 0.5, 3.0, 2.0]))
    several.record("reached", torch.tensor([False, False, True, False]))
    assert whole.ledger.steps["objective"][0][[0, 2]].tolist() == [0.5, 3.0]
    assert whole.ledger.steps["reached"][0][[0, 2]].tolist() == [0.0, 1.0]


def test_zero_directions_are_those_of_the_images_asked_about() -> None:
    """A network that ignores its input gives zero directions for every image that is asked about, and for no other."""
    constant = bb.Predictive(torch.nn.Linear(5, 3), {"weight": torch.zeros(2, 3, 5), "bias": torch.ones(2, 3)})
    whole = Victim(constant, THREAT, range(2), 6)
    x, y = random_inputs(images=6)
    whole.among(torch.tensor([1, 4])).among(torch.tensor([1])).direction(x[[4]].float(), y[[4]], "predictive-nll")
    assert whole.ledger.zero_direction.tolist() == [image == 4 for image in range(6)]


class Staged(bb.Attack):
    """Runs one attack after another, each on the images that still stand."""

    revision: ClassVar[int | None] = 1

    attacks: tuple[bb.AttackParameter, ...] = ()
    """The attacks, in their order."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        found, standing = x.clone(), torch.arange(len(x))
        for attack in self.attacks:
            some = victim.among(standing)
            candidates = attack.run_on(some, x[standing], y[standing], threat, rng)
            broken = threat.broken(some.log_probs(candidates), y[standing])
            found[standing[broken]] = candidates[broken]
            standing = standing[~broken]
            if len(standing) == 0:
                break
        return found


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_attack_of_attacks_breaks_what_its_parts_break_and_books_what_they_ask(norm: str) -> None:
    predictive = random_ensemble(scale=3.0)
    x, y = random_inputs(images=40)
    threat = bb.Threat(epsilon=0.15, norm=norm)  # type: ignore[arg-type]
    first, second = bb.attack("fgsm"), bb.attack("pgd", steps=4, random_start=False)
    (made,) = craft(Staged(attacks=(first, Staged(attacks=(second,)))), predictive, x, y, [threat], seed=0)

    def broken(inputs: Tensor) -> Tensor:
        return threat.broken(predictive.log_probs(inputs), y)

    alone = [broken(attack(predictive, x, y, threat)) for attack in (first, second)]
    assert torch.equal(broken(made.inputs), alone[0] | alone[1])
    assert 0 < int(alone[0].sum()) < len(x)
    stood = ~alone[0]
    # For all images: one gradient of FGSM and one look at its result. For those that stand: four gradients and a last
    # look of PGD, the inner stage's own look at the result, and the outer stage's.
    assert made.gradient_passes.tolist() == [5.0 if one else 1.0 for one in stood]
    assert made.forward_passes.tolist() == [9.0 if one else 2.0 for one in stood]
    steps = made.steps["objective"]
    assert steps.shape == (5, len(x))
    assert torch.equal(steps.isnan().any(0), ~stood)
    assert made.zero_direction is not None


def test_a_threats_own_queries_are_kept_apart_from_those_of_all_threats() -> None:
    whole = victim(images=3)
    x, _ = random_inputs(images=3)
    threats = [bb.Threat(epsilon=0.1), bb.Threat(epsilon=0.2)]
    whole.log_probs(x)
    whole.under(threats[0]).among(torch.tensor([2])).log_probs(x[[2]])
    whole.among(torch.tensor([0, 1])).under(threats[1]).log_probs(x[[0, 1]])
    assert [ledger.forward.tolist() for ledger in whole.ledgers(threats[0])] == [[1, 1, 1], [0, 0, 1]]
    assert [ledger.forward.tolist() for ledger in whole.ledgers(threats[1])] == [[1, 1, 1], [1, 1, 0]]


def test_a_budget_of_queries_is_enforced_image_by_image() -> None:
    threat = bb.Threat(epsilon=0.1, queries=2)
    whole = victim(images=3, threat=threat)
    x, y = random_inputs(images=3)
    whole.log_probs(x)
    whole.among(torch.tensor([1])).direction(x[[1]], y[[1]], "predictive-nll")
    left = whole.queries_left
    assert left is not None
    assert left.tolist() == [1, 0, 1]
    with pytest.raises(bb.QueriesSpent, match="2 queries"):
        whole.log_probs(x)
    # The query that was refused is not charged.
    whole.among(torch.tensor([0, 2])).log_probs(x[[0, 2]])
    assert whole.ledger.forward.tolist() == [2, 2, 2]
    assert victim().queries_left is None


def test_the_budget_holds_for_what_is_shared_between_threats_too() -> None:
    threats = [bb.Threat(epsilon=0.1, queries=2), bb.Threat(epsilon=0.2, queries=2)]
    whole = victim(images=2, threat=threats[0])
    x, _ = random_inputs(images=2)
    whole.log_probs(x)
    whole.under(threats[1]).log_probs(x)
    with pytest.raises(bb.QueriesSpent):
        whole.under(threats[1]).log_probs(x)
    whole.under(threats[0]).log_probs(x)


@pytest.mark.parametrize(("queries", "allowed"), [(15, False), (16, True)])
def test_an_attack_within_its_budget_runs_and_one_beyond_it_is_refused(queries: int, allowed: bool) -> None:
    """PGD of 15 steps asks 16 times: each step, and the last look."""
    predictive, (x, y) = random_ensemble(), random_inputs()
    threat = bb.Threat(epsilon=0.1, queries=queries)
    if allowed:
        bb.attack("pgd", steps=15)(predictive, x, y, threat)
    else:
        with pytest.raises(bb.QueriesSpent):
            bb.attack("pgd", steps=15)(predictive, x, y, threat)


@pytest.mark.parametrize("draws", [1, 7])
def test_a_query_about_no_image_has_no_rows(draws: int) -> None:
    """An attack may ask about the images that still stand when none does."""
    whole = Victim(random_ensemble(draws=draws), THREAT, range(draws), 6)
    x, y = random_inputs(images=6)
    none = torch.tensor([], dtype=torch.long)
    empty = whole.among(none)
    assert empty.log_probs(x[none]).shape == (0, 3)
    assert empty.direction(x[none], y[none], "predictive-nll").shape == (0, 5)
    assert empty.gradient(x[none], y[none], "log-margin").shape == (0, 5)
    assert whole.ledger.forward.tolist() == [0.0] * 6


class Nesting(bb.Attack):
    """Runs an attack by `perturb_each`, on a victim that is already under its threat."""

    revision: ClassVar[int | None] = 1
    attack: bb.AttackParameter = "pgd"  # type: ignore[assignment]
    """The attack."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        return self.attack.perturb_each(victim, x, y, [threat], [rng])[0]


def test_an_attack_run_by_perturb_each_inside_of_another_is_booked_as_if_run_alone() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs()
    inner = bb.attack("pgd", steps=3)
    alone, nested = (
        craft(attack, predictive, x, y, [THREAT, bb.Threat(epsilon=0.2)], seed=0)
        for attack in (inner, Nesting(attack=Nesting(attack=inner)))
    )
    for one, other in zip(alone, nested, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert other.forward_passes.tolist() == one.forward_passes.tolist() == [4.0] * len(x)
        assert other.gradient_passes.tolist() == one.gradient_passes.tolist()
        assert torch.equal(one.steps["objective"], other.steps["objective"])
        assert other.zero_direction is not None


@pytest.mark.parametrize("shared_first", [True, False])
def test_the_budget_holds_in_whatever_order_victims_are_asked(shared_first: bool) -> None:
    threat = bb.Threat(epsilon=0.1, queries=3)
    whole = victim(images=2, threat=threat)
    x, _ = random_inputs(images=2)
    order = [whole, whole.under(threat)] if shared_first else [whole.under(threat), whole]
    order[0].log_probs(x)
    order[0].log_probs(x)
    order[1].log_probs(x)
    for one in (*order, whole.under(threat).under(threat)):
        with pytest.raises(bb.QueriesSpent):
            one.log_probs(x)


def test_scores_alone_give_no_gradient_by_forward_mode_either() -> None:
    from torch.autograd import forward_ad

    whole = victim(images=2, threat=bb.Threat(epsilon=0.1, access="scores"))
    x, _ = random_inputs(images=2)
    with forward_ad.dual_level():
        found = whole.logits(forward_ad.make_dual(x, torch.ones_like(x)))
        assert forward_ad.unpack_dual(found).tangent is None


def test_steps_recorded_for_all_threats_and_for_one_are_both_kept() -> None:
    from bnnbench.core.ledger import steps_of

    whole = victim(images=2)
    whole.record("s", torch.tensor([1.0, 2.0]))
    whole.under(THREAT).record("s", torch.tensor([3.0, 4.0]))
    assert steps_of(whole.ledgers(THREAT))["s"].tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_an_attack_that_holds_one_that_stops_early_stops_early() -> None:
    assert Staged(attacks=("fgsm", bb.attack("pgd", stop_when_broken=True))).stops_early
    assert not Staged(attacks=("fgsm", "pgd")).stops_early


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_attack_on_no_image_returns_none(norm: str) -> None:
    threat = bb.Threat(epsilon=0.1, norm=norm)  # type: ignore[arg-type]
    whole = victim(threat=threat)
    x, y = random_inputs(images=6)
    none = torch.tensor([], dtype=torch.long)
    rng = torch.Generator().manual_seed(0)
    for name in ("pgd", "fgsm", "random-sign"):
        assert bb.attack(name).run_on(whole.among(none), x[none], y[none], threat, rng).shape == (0, 5)
