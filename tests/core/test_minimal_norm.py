"""One run of a minimal-norm attack serves all radii."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from known import linear_predictive, small_data
from torch import Tensor

import bnnbench as bb
from bnnbench.core.rules.attack_run import check_repeatable, craft
from bnnbench.core.victim import Victim


class Nearest(bb.Attack):
    """The nearest input beyond the boundary of a linear classifier of two classes, in l2 and in linf, exactly."""

    revision: ClassVar[int | None] = 1
    traits: ClassVar[frozenset[str]] = frozenset({"minimal-norm"})
    runs: ClassVar[list[float]] = []

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        self.runs.append(threat.epsilon)
        slope = victim.gradient(x, y, "mean-logit-margin")
        margin = victim.value(x, y, "mean-logit-margin")
        needed = (-margin).clamp(min=0) * 1.001
        if threat.norm == "l2":
            return x + slope * (needed / slope.square().sum(1))[:, None]
        return x + slope.sign() * (needed / slope.abs().sum(1))[:, None]


class Walking(Nearest):
    """An honest search that walks out to the largest radius that it is asked for, in steps of a tenth of it."""

    revision: ClassVar[int | None] = 1

    def perturb_each(self, victim, x, y, threats, rngs):  # type: ignore[no-untyped-def]
        largest = max(threats, key=lambda threat: threat.epsilon)
        found, standing = x.clone(), torch.arange(len(x))
        slope = victim.direction(x, y, "mean-logit-margin").sign()
        for step in range(1, 11):
            candidates = largest.project(x, x + step / 10 * largest.epsilon * slope)
            broken = largest.broken(victim.among(standing).log_probs(candidates[standing]), y[standing])
            found[standing[broken]] = candidates[standing[broken]]
            standing = standing[~broken]
        return [found for _ in threats]


class Holding(bb.Attack):
    """Runs another attack, on the images in reverse order."""

    revision: ClassVar[int | None] = 1
    attack: bb.AttackParameter = "pgd"  # type: ignore[assignment]
    """The attack."""

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        order = torch.arange(len(x)).flip(0)
        return self.attack.run_on(victim.among(order), x[order], y[order], threat, rng).flip(0)


def problem() -> tuple[bb.Predictive, Tensor, Tensor, np.ndarray]:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(2, 4))
    data = small_data()
    predictive = linear_predictive(weight, np.array([0.0, -0.5 * (weight[1] - weight[0]).sum()]))
    x = data.test[0] * 0.5 + 0.25
    return predictive, x, predictive.log_probs(x).argmax(-1), weight[1] - weight[0]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_radius_is_served_exactly_by_one_run(norm: str) -> None:
    """An image of a linear classifier is broken exactly within its distance from the boundary, in the dual norm."""
    predictive, x, y, slope = problem()
    radii = [0.01, 0.03, 0.1, 0.2]
    threats = [bb.Threat(epsilon=radius, norm=norm) for radius in radii]  # type: ignore[arg-type]
    Nearest.runs.clear()
    made = craft(Nearest(), predictive, x, y, threats, seed=0)
    assert len(Nearest.runs) == 1
    margin = np.abs((x.numpy() - 0.5) @ slope)
    distance = margin / (np.abs(slope).sum() if norm == "linf" else np.linalg.norm(slope))
    for radius, one in zip(radii, made, strict=True):
        broken = threats[0].broken(predictive.log_probs(one.inputs), y).numpy()
        clear = np.abs(distance - radius) > 2e-3 * radius
        assert (broken == (distance < radius))[clear].all()
        assert one.forward_passes.tolist() == [2.0] * len(x)
    shares = [float(threats[0].broken(predictive.log_probs(one.inputs), y).float().mean()) for one in made]
    assert shares == sorted(shares)
    assert 0 < shares[1] < shares[3]


@pytest.mark.parametrize("attack", [Nearest(), Walking()])
def test_an_honest_minimal_norm_attack_is_no_breach(attack: bb.Attack) -> None:
    predictive, x, y, _ = problem()
    threats = [bb.Threat(epsilon=radius, norm=norm) for norm in ("linf", "l2") for radius in (0.01, 0.05, 0.2)]  # type: ignore[arg-type]
    check_repeatable(attack, predictive, x, y, threats, seed=0)
    together = craft(attack, predictive, x, y, threats, seed=0)
    for threat, one in zip(threats, together, strict=True):
        (alone,) = craft(attack, predictive, x, y, [threat], seed=0)
        assert torch.equal(alone.inputs, one.inputs)


class Forgetful(Nearest):
    """Gives another result each time that it is run."""

    revision: ClassVar[int | None] = 1

    def perturb(self, victim, x, y, threat, rng):  # type: ignore[no-untyped-def]
        return super().perturb(victim, x, y, threat, rng) + 1e-3 * len(self.runs)


def test_one_seed_must_still_give_one_result() -> None:
    predictive, x, y, _ = problem()
    with pytest.raises(bb.ContractBreach, match="two results for one seed"):
        check_repeatable(Forgetful(), predictive, x, y, [bb.Threat(epsilon=0.1)], seed=0)


def test_in_a_matrix_it_is_ok_at_every_radius() -> None:
    """Through `evaluate`, which checks repetition first."""
    predictive, x, y, _ = problem()
    data = bb.Data(train=(x, y), test=(x, y), classes=2)
    found = [bb.evaluate(predictive, Nearest(), data, epsilon=radius).robust_accuracy for radius in (0.01, 0.1, 0.3)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[2]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("attack", [Nearest(), Walking()])
def test_inside_of_another_attack_it_gives_what_it_gives_alone(attack: bb.Attack, norm: str) -> None:
    """Such an attack defines `perturb` or `perturb_each` alone; its queries are counted in both cases."""
    predictive, x, y, _ = problem()
    threats = [bb.Threat(epsilon=radius, norm=norm) for radius in (0.01, 0.2)]  # type: ignore[arg-type]
    alone = craft(attack, predictive, x, y, threats, seed=0)
    for threat, one in zip(threats, alone, strict=True):
        (nested,) = craft(Holding(attack=Holding(attack=attack)), predictive, x, y, [threat], seed=0)
        assert torch.equal(nested.inputs, one.inputs)
        assert nested.forward_passes.tolist() == one.forward_passes.tolist()
        assert nested.gradient_passes.tolist() == one.gradient_passes.tolist()


class Leaving(bb.Attack):
    """Leaves the ball."""

    revision: ClassVar[int | None] = 1

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        return x + 2 * threat.epsilon


class Spoiling(bb.Attack):
    """Changes its arguments."""

    revision: ClassVar[int | None] = 1

    def perturb(self, victim: Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        return x.add_(threat.epsilon / 2)


@pytest.mark.parametrize(
    ("inner", "told"), [(Leaving(), "Leaving left the linf ball"), (Spoiling(), "Spoiling changed")]
)
def test_an_attack_inside_of_another_is_held_to_the_rules_by_its_own_name(inner: bb.Attack, told: str) -> None:
    predictive, x, y, _ = problem()
    with pytest.raises(bb.ContractBreach, match=told):
        Holding(attack=inner)(predictive, x, y, bb.Threat(epsilon=0.05))


def test_an_attack_inside_of_another_gets_no_more_access() -> None:
    predictive, x, y, _ = problem()
    whole = Victim(predictive, bb.Threat(epsilon=0.05, access="scores"), range(1), len(x))
    with pytest.raises(ValueError, match="differs in more than norm and epsilon"):
        bb.attack("fgsm").run_on(whole, x, y, bb.Threat(epsilon=0.05), torch.Generator())
