"""Networks that return probabilities are refused, or handled right where they say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from known import random_inputs
from torch import nn

import bnnbench as bb
from bnnbench.core.network_outputs import check_meaning
from bnnbench.errors import NetworkError

X, Y = random_inputs(images=12)


def ensembles(last: nn.Module, **options: str) -> tuple[bb.Predictive, bb.Predictive]:
    """The same draws of a network of logits, and of the network with a last layer more."""
    generator = torch.Generator().manual_seed(0)
    draws = {
        "0.weight": 4 * torch.randn(6, 8, 5, generator=generator),
        "0.bias": torch.randn(6, 8, generator=generator),
        "2.weight": 4 * torch.randn(6, 3, 8, generator=generator),
        "2.bias": torch.randn(6, 3, generator=generator),
    }
    layers = [nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)]
    return bb.Predictive(nn.Sequential(*layers), draws), bb.Predictive(nn.Sequential(*layers, last), draws, **options)  # type: ignore[arg-type]


def test_declared_probabilities_give_what_their_logits_give() -> None:
    plain, declared = ensembles(nn.Softmax(-1), outputs="probabilities")
    x, y = random_inputs(images=12)
    x = x.float()
    assert torch.allclose(declared.log_probs(x), plain.log_probs(x), atol=1e-5)
    assert torch.allclose(declared.gradient(x, y, "log-margin"), plain.gradient(x, y, "log-margin"), atol=1e-3)
    assert torch.allclose(declared.as_module()(x), plain.log_probs(x), atol=1e-5)
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    robust = [bb.evaluate(one, bb.attack("pgd", steps=10), data, epsilon=0.1) for one in (plain, declared)]
    assert robust[0].robust_accuracy == robust[1].robust_accuracy


def test_log_probabilities_need_no_declaration() -> None:
    for options in ({}, {"outputs": "log-probabilities"}):
        plain, other = ensembles(nn.LogSoftmax(-1), **options)
        x, _ = random_inputs(images=12)
        assert torch.allclose(other.log_probs(x.float()), plain.log_probs(x.float()), atol=1e-5)


def test_undeclared_probabilities_are_refused_wherever_they_are_used() -> None:
    _, taken = ensembles(nn.Softmax(-1))
    x, y = random_inputs(images=12)
    x = x.float()
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    calls = [
        lambda: taken.log_probs(x),
        lambda: taken.gradient(x, y, "log-margin"),
        lambda: taken.as_module()(x),
        lambda: bb.attack("fgsm")(taken, x, y, bb.Threat(epsilon=0.1)),
        lambda: bb.evaluate(taken, bb.attack("fgsm"), data, epsilon=0.1),
    ]
    for call in calls:
        with pytest.raises(NetworkError, match="returns probabilities, not logits"):
            call()


def test_a_declaration_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="outputs is 'odds', not one of logits, probabilities, log-probabilities"):
        ensembles(nn.Identity(), outputs="odds")


def test_declared_logits_are_taken_as_they_are() -> None:
    _, taken = ensembles(nn.Softmax(-1), outputs="logits")
    x, _ = random_inputs(images=12)
    assert taken.log_probs(x.float()).exp().max() < 0.6


SOFTMAX, LOG_SOFTMAX, IDENTITY = nn.Softmax(-1), nn.LogSoftmax(-1), nn.Identity()
WRONG = [
    (SOFTMAX, None, r"returns probabilities, not logits: leave out its softmax, or declare outputs='probabilities'"),
    (
        SOFTMAX,
        "log-probabilities",
        r"returns probabilities, not log-probabilities, .*: declare outputs='probabilities'",
    ),
    (IDENTITY, "probabilities", "does not return probabilities, as outputs='probabilities' says: they lie in"),
    (IDENTITY, "log-probabilities", "does not return log-probabilities, as .* the exponentials of the first sum up to"),
    (LOG_SOFTMAX, "probabilities", "does not return probabilities"),
]
RIGHT = [(IDENTITY, None), (LOG_SOFTMAX, None), (LOG_SOFTMAX, "log-probabilities"), (SOFTMAX, "probabilities")]


def every_way(last: nn.Module, outputs: Any) -> dict[str, Callable[[], bb.Predictive]]:
    """A network with a last layer, as each of the things that a predictive can be made of."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(5, 3), last)
    weights = {name: value[None] for name, value in network.state_dict().items()}
    further = {} if outputs is None else {"outputs": outputs}

    class Own(bb.Network):
        outputs: Any = None

        def build(self, data: bb.Data) -> nn.Module:
            return nn.Sequential(nn.Linear(5, 3), last)

    x, y = X.float(), Y
    data = bb.Data(train=(x, y), test=(x, y), classes=3)
    ways = {
        "module": lambda: bb.predictive(network, **further),
        "function": lambda: bb.predictive(lambda x: network(torch.as_tensor(x)), **further),
        "several": lambda: bb.predictive([network, nn.Sequential(nn.Flatten(), network)], **further),
        "draws": lambda: bb.Predictive(network, weights, **further),
    }
    for name in ("sgd", "bayes-by-backprop", "pyro-hmc", "numpyro-hmc"):
        given = {"warmup": 1, "draws": 2, "leapfrog_steps": 1} if "hmc" in name else {"epochs": 1}
        posterior = bb.posterior(name, **given)
        ways[name] = lambda posterior=posterior: bb.fit(posterior, Own(outputs=outputs).build(data), data)  # type: ignore[misc]
    return ways


@pytest.mark.parametrize(("last", "outputs", "told"), WRONG, ids=str)
def test_a_wrong_declaration_is_told_in_one_voice(last: nn.Module, outputs: Any, told: str) -> None:
    for make in every_way(last, outputs).values():
        with pytest.raises(NetworkError, match=told):
            make().log_probs(X.float())


@pytest.mark.parametrize(("last", "outputs"), RIGHT, ids=str)
def test_a_right_declaration_is_taken_and_gives_log_probabilities(last: nn.Module, outputs: Any) -> None:
    found = {name: make().log_probs(X.float()) for name, make in every_way(last, outputs).items()}
    expected = every_way(IDENTITY, None)["draws"]().log_probs(X.float())
    for name in ("module", "function", "several", "draws"):
        assert torch.allclose(found[name], expected, atol=1e-5)
    for one in found.values():
        assert torch.allclose(one.exp().sum(1), torch.ones(len(X)), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_declared_outputs_may_be_in_half_precision(dtype: torch.dtype) -> None:
    values = torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    check_meaning(values.softmax(1).to(dtype), "probabilities", "network")
    check_meaning(values.log_softmax(1).to(dtype), "log-probabilities", "network")


def test_the_outputs_of_a_network_are_declared_once() -> None:
    _, declared = ensembles(nn.Softmax(-1), outputs="probabilities")
    weights = {name: value.numpy() for name, value in declared.draws.items()}
    x = X.float()
    for outputs in (None, "probabilities", "logits"):  # It returns logits now.
        again = bb.Predictive(declared.network, weights, outputs=outputs)
        assert torch.equal(again.log_probs(x), declared.log_probs(x))
    with pytest.raises(
        ValueError, match="outputs is 'log-probabilities', but the network has declared 'probabilities'"
    ):
        bb.Predictive(declared.network, weights, outputs="log-probabilities")
