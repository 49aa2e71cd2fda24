"""The defending side: the draws that judge, and predictives that break a rule."""

from __future__ import annotations

from typing import Any

import bad_posteriors
import numpy as np
import pytest
import torch
from known import linear_predictive, random_ensemble, random_inputs, small_data

import bnnbench as bb


def test_evaluation_uses_its_own_draws_under_independent_and_the_limit_under_fixed() -> None:
    x, y = random_inputs(images=30)
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    predictive = random_ensemble(draws=10)
    independent = bb.evaluate(
        predictive, bb.attack("fgsm"), data, threat=bb.Threat(epsilon=0.1, stream="independent"), images=30
    )
    assert (independent.draws, independent.attack_draws) == (5, 5)
    expected = predictive.log_probs(x[independent.index], range(5)).numpy()
    assert independent.clean_log_probs == pytest.approx(expected, abs=1e-6)
    fixed = bb.evaluate(predictive, bb.attack("fgsm"), data, epsilon=0.1, draws=4, images=30)
    assert (fixed.draws, fixed.attack_draws) == (4, 4)
    fresh = bb.evaluate(
        predictive, bb.attack("pgd"), data, threat=bb.Threat(epsilon=0.1, stream="fresh", attack_draws=2), images=30
    )
    assert (fresh.draws, fresh.attack_draws) == (2, 2)


def test_under_fresh_each_image_meets_draws_of_its_own() -> None:
    """Of two draws one is right everywhere and one nowhere: with one subset for all, accuracy would be 0 or 1.

    Over 40 seeds the 95% interval misses one half as often as it should: at most 6 times, which goes wrong in less than
    1% of such tests.
    """
    x = torch.rand(300, 2, generator=torch.Generator().manual_seed(0))
    y = torch.zeros(300, dtype=torch.int64)
    data = bb.Data(train=(x, y), test=(x, y), classes=2)
    bias = np.array([[5.0, -5.0], [-5.0, 5.0]], dtype="f4")
    predictive = bb.Predictive(torch.nn.Linear(2, 2), {"weight": np.zeros((2, 2, 2), "f4"), "bias": bias})
    threat = bb.Threat(epsilon=0.0, stream="fresh", attack_draws=1)
    missed = 0
    for seed in range(40):
        found = bb.evaluate(predictive, bb.attack("fgsm"), data, threat=threat, images=300, seed=seed)
        assert found.robust_accuracy == found.clean_accuracy  # Nothing was attacked.
        low, high = found.interval
        missed += not low <= 0.5 <= high
    assert missed <= 6


def test_too_few_draws_for_a_stream_are_incompatible() -> None:
    data = small_data()
    single = linear_predictive(np.ones((2, 4)), np.zeros(2))
    with pytest.raises(bb.Incompatible):
        bb.evaluate(single, bb.attack("fgsm"), data, threat=bb.Threat(epsilon=0.1, stream="independent"))


HALF_MOONS = bb.dataset("half-moons", train_size=100, test_size=50)


def network(data: bb.Data) -> torch.nn.Module:
    return bb.network("fc", hidden=(4,)).build(data)


class Bribing(bb.Attack):
    """Makes the victim say that it is always wrong."""

    def perturb(self, victim, x, y, threat, rng):
        judge = victim._predictive.draw_log_probs
        victim._predictive.draw_log_probs = lambda *arguments: judge(*arguments).flip(-1)
        return x.clone()


def test_what_an_attack_puts_into_its_victim_judges_nobody() -> None:
    data = HALF_MOONS.load(seed=0)
    predictive = bb.fit(bb.posterior("sgd", epochs=1), network(data), data)
    outcome = bb.evaluate(predictive, Bribing(), data, epsilon=0.0, images=20)
    assert outcome.robust_accuracy == outcome.clean_accuracy


class Noisy(torch.nn.Linear):
    """Draws at each look."""

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, x):
        return torch.nn.functional.dropout(super().forward(x), training=True)


def test_a_network_that_draws_at_each_look_is_caught() -> None:
    data = HALF_MOONS.load(seed=0)
    predictive = bb.Predictive(Noisy(), {"weight": torch.randn(3, 2, 2), "bias": torch.zeros(3, 2)})
    with pytest.raises(bb.ContractBreach, match=r"network .*Noisy draws random numbers in eval mode"):
        bb.evaluate(predictive, bb.attack("random-sign"), data, epsilon=0.1, images=20)


def test_a_network_that_mixes_its_images_is_caught() -> None:
    """Its outcomes would depend on how many images are looked at together."""

    class Mixing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2, bias=False)
            self.layer.weight.data = torch.tensor([[5.0, 0.0], [0.0, 5.0]])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.layer(x)
            return hidden - hidden.mean(0)

    data = bb.dataset("half-moons", train_size=40, test_size=20).load(0)
    with pytest.raises(bb.ContractBreach, match=r"network .*Mixing predicts otherwise for an image alone"):
        bb.evaluate(Mixing(), bb.attack("fgsm"), data, epsilon=0.05, images=20)


@pytest.mark.parametrize("epsilon", [0.0, 0.05])
def test_draws_of_half_precision_move_no_image(epsilon: float) -> None:
    """The ball is around the caller's image, not around the image in half precision."""
    data = HALF_MOONS.load(seed=0)
    weights = {name: value[0].half() for name, value in bad_posteriors.weights(network(data), 3).items()}
    predictive = bb.Predictive(network(data), weights)
    for attack in ("fgsm", "random-sign", "pgd"):
        outcome = bb.evaluate(predictive, bb.attack(attack), data, epsilon=epsilon, images=20)
        assert outcome.distance.max() <= epsilon + 1e-6


class OtherwiseInLargeBatches(torch.nn.Linear):
    """Adds something to the first logit if there are more images than a trial has."""

    def __init__(self) -> None:
        super().__init__(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + (len(x) > 8) * torch.tensor([0.3, 0.0])


@pytest.mark.parametrize("stream", ["fixed", "independent", "fresh"])
def test_a_network_that_predicts_otherwise_in_large_batches_is_caught(stream: Any) -> None:
    """The images alone and in a batch of two, which were compared, told nothing of the batch that is judged."""
    data = HALF_MOONS.load(seed=0)
    weights = {"weight": torch.arange(16.0).view(4, 2, 2) / 16, "bias": torch.zeros(4, 2)}
    predictive = bb.Predictive(OtherwiseInLargeBatches(), weights)
    threat = bb.Threat(epsilon=0.1, stream=stream, attack_draws=2 if stream == "fresh" else None)
    with pytest.raises(bb.ContractBreach, match="predicts otherwise for an image alone than in a batch"):
        bb.evaluate(predictive, bb.attack("random-sign"), data, threat=threat, images=20)
    assert len(bb.evaluate(predictive, bb.attack("random-sign"), data, threat=threat, images=4)) == 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_rounding_of_half_precision_is_no_mixing(dtype: torch.dtype) -> None:
    class Changing(torch.nn.Module):
        """Logits that are 2% larger in large batches: five units in the last place of bfloat16."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return ((1 + 0.02 * (len(x) > 8)) * torch.stack([x[:, 0] + 1, -x[:, 1]], 1)).to(dtype)

    data = HALF_MOONS.load(seed=0)
    if dtype == torch.bfloat16:
        assert len(bb.evaluate(Changing(), bb.attack("random-sign"), data, epsilon=0.1, images=20)) == 20
    else:
        with pytest.raises(bb.ContractBreach, match="predicts otherwise"):
            bb.evaluate(Changing(), bb.attack("random-sign"), data, epsilon=0.1, images=20)


def test_a_predictive_is_called_in_its_own_precision() -> None:
    """Also where a few of its logits are looked at."""
    seen = []

    class Double(bb.Predictive):
        def logits(self, x: torch.Tensor, draws: object = slice(None)) -> torch.Tensor:
            seen.append(x.dtype)
            return torch.stack([x[:, :2].exp(), x[:, :2]])[self.indices(draws)]  # type: ignore[arg-type]

    data = HALF_MOONS.load(seed=0)
    predictive = Double(torch.nn.Module(), {"number": np.arange(2.0)})
    bb.evaluate(predictive, bb.attack("random-sign"), data, epsilon=0.1, images=20)
    assert set(seen) == {torch.float64}


def test_the_defence_of_another_predictive_has_the_same_images_and_as_many_draws_at_most() -> None:
    data = small_data(images=30, inputs=5, classes=3)
    own, other = random_ensemble(draws=6), random_ensemble(draws=9, seed=3)
    defence = bb.Defence(own, data, bb.Threat(epsilon=0.1), images=20, draws=4, seed=7)
    beside = defence.beside(other)
    assert (beside.sample.index == defence.sample.index).all()
    assert (beside.draws, beside.seed, beside.threat) == (4, 7, defence.threat)
    expected = bb.evaluate(other, bb.attack("fgsm"), data, epsilon=0.1, images=20, draws=4, seed=7)
    made = beside.attacked(bb.attack("fgsm"), beside.sample.x, beside.sample.y, defence.threat)
    assert beside.judge(made.inputs).log_probs == pytest.approx(expected.attacked_log_probs, abs=1e-6)
    assert made.forward_passes.tolist() == expected.passes.tolist()
