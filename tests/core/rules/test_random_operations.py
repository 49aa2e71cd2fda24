"""Draws of the calling thread from torch's global generators are noticed, and no others."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from torch import nn

import bnnbench as bb
from bnnbench.core.rules.random_operations import no_global_draws

ONES = torch.ones(4, 3)


def own() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def seeded_fork() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(99)
        torch.rand(3)


def attention(dropout: float) -> torch.Tensor:
    query = torch.ones(1, 1, 2, 4)
    return nn.functional.scaled_dot_product_attention(query, query, query, dropout_p=dropout)


def of_another_thread() -> None:
    thread = threading.Thread(target=lambda: torch.rand(3))
    thread.start()
    thread.join()


DRAWS: dict[str, Callable[[], object]] = {
    "rand": lambda: torch.rand(3),
    "randn-like": lambda: torch.randn_like(ONES),
    "randint": lambda: torch.randint(3, (2,)),
    "permutation": lambda: torch.randperm(4),
    "in place": lambda: torch.empty(3).uniform_(),
    "bernoulli": lambda: torch.bernoulli(ONES / 2),
    "multinomial": lambda: torch.multinomial(ONES, 1),
    "dropout": lambda: nn.Dropout(0.5).train()(ONES),
    "rrelu": lambda: nn.functional.rrelu(-ONES, training=True),
    "distribution": lambda: torch.distributions.Gamma(1.0, 1.0).sample(),
    "initialisation": lambda: nn.Linear(2, 2),
    "vmap": lambda: torch.vmap(lambda x: x + torch.rand(1), randomness="different")(ONES),
    "no gradient": torch.no_grad()(lambda: torch.rand(3)),
    "inference": torch.inference_mode()(lambda: torch.rand(3)),
    "attention": lambda: attention(0.5),
    "the global generator by name": lambda: torch.rand(3, generator=torch.default_generator),
    "after seeding": lambda: (torch.manual_seed(5), torch.rand(3)),
}

NO_DRAWS: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "rand": lambda: torch.rand(3, generator=own()),
    "in place": lambda: torch.empty(3).uniform_(generator=own()),
    "permutation": lambda: torch.randperm(4, generator=own()),
    "multinomial": lambda: torch.multinomial(ONES, 1, generator=own()),
    "positional": lambda: torch.ops.aten.rrelu_with_noise(-ONES, ONES.clone(), 0.1, 0.3, True, own()),
    "dropout": lambda: nn.Dropout(0.5).eval()(ONES),
    "no dropout": lambda: nn.Dropout(0.0).train()(ONES),
    "rrelu": lambda: nn.functional.rrelu(-ONES, training=False),
    "attention": lambda: attention(0.0),
    "recurrent": lambda: RECURRENT(ONES[:, None]),
    "gradient": lambda: torch.autograd.grad((leaf() * 2).sum(), [leaf()], allow_unused=True),
    "seeded fork": seeded_fork,
    "another thread": of_another_thread,
}
RECURRENT = nn.LSTM(3, 2, 2, dropout=0.5).eval()


def leaf() -> torch.Tensor:
    return ONES.clone().requires_grad_()


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_is_refused(name: str) -> None:
    accused = pytest.raises(bb.ContractBreach, match="a plugin drew from the global random state of torch")
    with torch.random.fork_rng(), accused, no_global_draws("a plugin"):
        DRAWS[name]()


@pytest.mark.parametrize("name", NO_DRAWS)
def test_what_draws_nothing_passes(name: str) -> None:
    with no_global_draws("a plugin"):
        NO_DRAWS[name]()


def test_a_failure_of_the_body_is_not_replaced() -> None:
    def body() -> None:
        torch.rand(3)
        raise KeyError

    with torch.random.fork_rng(), pytest.raises(KeyError), no_global_draws("a plugin"):
        body()


@pytest.mark.parametrize("name", ["fgsm", "pgd", "random-sign"])
def test_results_do_not_depend_on_being_watched(name: str) -> None:
    from known import random_ensemble, random_inputs

    predictive, (x, y) = random_ensemble(), random_inputs()
    threat, attack = bb.Threat(epsilon=0.1), bb.attack(name)
    expected = attack(predictive, x, y, threat, seed=3)
    with no_global_draws("a plugin"):
        assert torch.equal(attack(predictive, x, y, threat, seed=3), expected)
