"""Inputs that another attack finds for one network with weights of the draws."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hyperplanes import linear_problem
from known import random_ensemble, random_inputs, small_data

import bnnbench as bb
from bnnbench.core import seeds
from bnnbench.core.rules.attack_run import craft

NORMS = ("linf", "l2")
INNER: list[Any] = [
    bb.attack("pgd", steps=6),
    bb.attack("apgd", steps=6, targets=2),
    bb.attack("fmn", steps=6),
    bb.attack("standard"),
]


def mean_network(predictive: bb.Predictive) -> bb.Predictive:
    """The network whose weights are the mean of the draws'."""
    weights = {name: draws.mean(0, keepdim=True) for name, draws in predictive.draws.items()}
    return bb.Predictive(predictive.network, weights)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("inner", INNER)
def test_the_result_is_that_of_the_inner_attack_on_the_mean_network(inner: bb.Attack, norm: str) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=20)
    threat = bb.Threat(epsilon=0.15, norm=norm)  # type: ignore[arg-type]
    found = bb.attack("transfer", attack=inner)(predictive, x, y, threat, seed=3)
    assert torch.equal(found, inner(mean_network(predictive), x, y, threat, seed=3))
    assert not torch.equal(found, inner(predictive, x, y, threat, seed=3))


@pytest.mark.parametrize("source", ["mean-network", "one-draw"])
@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
def test_of_one_draw_it_is_the_attack_on_the_predictive_itself(shape: tuple[int, ...], source: str) -> None:
    predictive, x, y, _ = linear_problem(shape)
    inner, threat = bb.attack("pgd", steps=6), bb.Threat(epsilon=0.1)
    found = bb.attack("transfer", attack=inner, source=source).run(predictive, x, y, threat, seed=3)
    assert torch.equal(found.inputs, inner(predictive, x, y, threat, seed=3))
    assert found.success.any()


def test_one_draw_is_the_first_that_the_attacker_sees() -> None:
    predictive, (x, y) = random_ensemble(draws=6), random_inputs()
    inner, threat = bb.attack("pgd", steps=6), bb.Threat(epsilon=0.1, stream="independent")
    found = bb.attack("transfer", attack=inner, source="one-draw")(predictive, x, y, threat, seed=3)
    fourth = bb.Predictive(predictive.network, {name: draws[3:4] for name, draws in predictive.draws.items()})
    assert torch.equal(found, inner(fourth, x, y, bb.Threat(epsilon=0.1), seed=3))


def test_the_ensemble_is_not_asked_whatever_the_budget() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs()
    (crafted,) = craft(bb.attack("transfer"), predictive, x, y, [bb.Threat(epsilon=0.1, queries=1)], seed=0)
    assert crafted.forward_passes.tolist() == [0] * len(x)
    assert crafted.gradient_passes.tolist() == [0] * len(x)
    assert crafted.zero_direction is None


@pytest.mark.parametrize("access", ["scores", "decisions"])
def test_it_is_refused_where_the_weights_are_not_known(access: str) -> None:
    x, y = random_inputs()
    with pytest.raises(bb.GradientRefused, match="not the weights of the network"):
        bb.attack("transfer")(random_ensemble(), x, y, bb.Threat(epsilon=0.1, access=access))  # type: ignore[arg-type]


def test_its_effort_is_that_of_the_inner_attack() -> None:
    stronger = bb.attack("transfer", attack=bb.attack("pgd", steps=6)).stronger()
    assert stronger == bb.attack("transfer", attack=bb.attack("pgd", steps=6).stronger())
    assert bb.attack("transfer", attack="fgsm").stronger() is None
    assert not bb.attack("transfer").stops_early
    assert bb.attack("transfer", attack=bb.attack("pgd", stop_when_broken=True)).stops_early


OWN = bb.attack("transfer", source="posterior", posterior={"use": "sgd", "epochs": 4})


def fitted() -> tuple[bb.Predictive, bb.Data]:
    data = small_data(images=80, inputs=4, classes=3)
    network = bb.network("fc", hidden=(8,)).build(data)
    return bb.fit(bb.posterior("sgd", epochs=4), network, data, seed=0), data


def test_the_attackers_own_fit_is_of_its_method_on_the_training_data_with_its_own_seed() -> None:
    predictive, data = fitted()
    outcome = bb.evaluate(predictive, OWN, data, epsilon=0.2, images=40)
    seed = seeds.words(0, seeds.SURROGATE)[0]
    own = bb.fit(bb.posterior("sgd", epochs=4), predictive.network, data, seed=seed)
    sample = bb.evaluate(predictive, bb.attack("pgd"), data, epsilon=0.2, images=40)
    x, y = (tensor[torch.from_numpy(sample.index)] for tensor in map(torch.as_tensor, data.test))
    found = bb.attack("pgd")(own, x, y, bb.Threat(epsilon=0.2), seed=0)
    assert torch.equal(torch.from_numpy(outcome.inputs), found[:16])
    name = next(iter(own.draws))
    assert not torch.equal(own.draws[name], predictive.draws[name])
    assert outcome.passes.max() == 0


def test_an_own_fit_needs_neither_weights_nor_queries() -> None:
    predictive, data = fitted()
    white = bb.evaluate(predictive, OWN, data, epsilon=0.2, images=20)
    blind = bb.evaluate(predictive, OWN, data, threat=bb.Threat(0.2, access="decisions", queries=1), images=20)
    assert torch.equal(torch.from_numpy(white.inputs), torch.from_numpy(blind.inputs))


def test_without_training_data_there_is_nothing_to_fit() -> None:
    predictive, data = fitted()
    x, y = data.test
    with pytest.raises(bb.Incompatible, match=r"no training data: use bnnbench\.evaluate"):
        OWN.run(predictive, x[:5], y[:5], 0.1)
    with pytest.raises(bb.Incompatible, match="the attacker has nothing to fit"):
        bb.evaluate(predictive, OWN, bb.Data(test=(x, y), classes=3), epsilon=0.1)


@pytest.mark.parametrize(
    "wrong", [{"source": "posterior"}, {"posterior": "sgd"}, {"source": "one-draw", "posterior": "sgd"}]
)
def test_source_and_posterior_belong_together(wrong: dict[str, Any]) -> None:
    with pytest.raises(bb.ParameterError, match="belong together"):
        bb.attack("transfer", **wrong)


@pytest.mark.parametrize("source", ["mean-network", "one-draw"])
def test_whether_the_surrogate_is_broken_is_recorded_and_not_counted(source: str) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=30)
    attack = bb.attack("transfer", source=source)
    (made,) = craft(attack, predictive, x, y, [bb.Threat(epsilon=0.2)], seed=0)
    surrogate = mean_network(predictive)
    if source == "one-draw":
        surrogate = bb.Predictive(predictive.network, {name: draws[:1] for name, draws in predictive.draws.items()})
    broken = surrogate.log_probs(made.inputs).argmax(-1) != y
    assert torch.equal(made.steps["surrogate_broken"][0].bool(), broken)
    assert 0 < broken.sum() < len(y)
    assert made.forward_passes.max() == 0
