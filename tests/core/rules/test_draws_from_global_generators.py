"""Attacks and predictives that draw from torch's global generators are refused, and hosts that draw accuse nobody."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from host_threads import Worker
from known import random_ensemble, small_data
from torch import Tensor

import bnnbench as bb


@contextlib.contextmanager
def drawing_host(seed: int) -> Iterator[list[float]]:
    """A thread that draws from torch's global generator, seeded before, until the block ends: its numbers so far."""
    drawn: list[float] = []
    over = threading.Event()

    def draw() -> None:
        while not over.is_set():
            drawn.append(float(torch.rand(1)))

    thread = threading.Thread(target=draw, daemon=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        thread.start()
        try:
            yield drawn
        finally:
            over.set()
            thread.join()


BUSY: list[Worker] = []
"""Threads of the host that run whenever a plugin of this file does."""


@contextlib.contextmanager
def busy_host() -> Iterator[None]:
    """A thread that draws from torch's global generator each time a plugin of this file runs."""
    with Worker(lambda: torch.rand(1)) as host:
        BUSY.append(host)
        try:
            yield
        finally:
            BUSY.remove(host)


def let_the_host_run() -> None:
    for host in BUSY:
        host()


class FromGlobal(bb.Attack):
    """Noise from torch's global generator."""

    def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        let_the_host_run()
        return threat.project(x, x + threat.epsilon * torch.rand_like(x))


class FromGlobalUnused(bb.Attack):
    """The clean inputs, after a draw from torch's global generator that changes no result."""

    def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        let_the_host_run()
        torch.randperm(10)
        return x.clone()


class FromSeed(bb.Attack):
    """Noise from the generator that it is given."""

    def perturb(self, victim: bb.Victim, x: Tensor, y: Tensor, threat: bb.Threat, rng: torch.Generator) -> Tensor:
        let_the_host_run()
        noise = torch.rand(x.shape, generator=rng, dtype=x.dtype)
        victim.gradient(x, y, "predictive-nll")
        return threat.project(x, x + threat.epsilon * noise)


class Drawing(torch.nn.Linear):
    """A layer that draws from torch's global generator each time, which changes no result."""

    def forward(self, x: Tensor) -> Tensor:
        let_the_host_run()
        torch.rand(1)
        return super().forward(x)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "random-sign"])
def test_a_host_that_draws_meanwhile_is_not_disturbed_and_no_attack_is_accused(name: str) -> None:
    predictive, data, attack = random_ensemble(inputs=4, classes=2), small_data(), bb.attack(name)
    alone = bb.evaluate(predictive, attack, data, epsilon=0.1)
    with drawing_host(seed=7) as drawn:
        while not drawn:
            pass
        began = len(drawn)
        outcomes = [bb.evaluate(predictive, attack, data, epsilon=0.1) for _ in range(2)]
        assert len(drawn) > began
    expected = torch.Generator().manual_seed(7)
    assert drawn == [float(torch.rand(1, generator=expected)) for _ in drawn]
    assert all(np.array_equal(outcome.attacked_log_probs, alone.attacked_log_probs) for outcome in outcomes)


@pytest.mark.parametrize("attack", [FromGlobal(), FromGlobalUnused()])
@pytest.mark.parametrize("host", [contextlib.nullcontext, busy_host])
def test_an_attack_that_draws_from_torchs_global_generator_is_refused(
    attack: bb.Attack, host: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    predictive, data = random_ensemble(inputs=4, classes=2), small_data()
    with host(), pytest.raises(bb.ContractBreach, match=f"{type(attack).__name__} drew from the global random state"):
        bb.evaluate(predictive, attack, data, epsilon=0.1)


@pytest.mark.parametrize("host", [contextlib.nullcontext, busy_host])
def test_an_attack_that_draws_from_its_own_generator_passes(
    host: Callable[[], contextlib.AbstractContextManager[None]],
) -> None:
    predictive, data = random_ensemble(inputs=4, classes=2), small_data()
    alone = bb.evaluate(predictive, FromSeed(), data, epsilon=0.1)
    with host():
        found = bb.evaluate(predictive, FromSeed(), data, epsilon=0.1)
    assert np.array_equal(found.attacked_log_probs, alone.attacked_log_probs)


@pytest.mark.parametrize("host", [contextlib.nullcontext, busy_host])
def test_a_predictive_that_draws_from_torchs_global_generator_is_refused_by_name(
    host: Callable[[], contextlib.AbstractContextManager[None]],
) -> None:
    predictive = bb.Predictive(Drawing(4, 2), {"weight": np.ones((3, 2, 4), "f4"), "bias": np.zeros((3, 2), "f4")})
    with host(), pytest.raises(bb.ContractBreach, match=r"^(network .*Drawing draws random|the predictive drew from)"):
        bb.evaluate(predictive, FromSeed(), small_data(), epsilon=0.1)
