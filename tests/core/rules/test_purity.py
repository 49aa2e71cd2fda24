"""Plugins that draw from global random states or change settings are caught, and hosts with threads accuse nobody."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from known import random_ensemble, small_data
from torch import Tensor

import bnnbench as bb
from bnnbench.core import process_state
from bnnbench.core.changes import others_may_have_run, processor_times
from bnnbench.core.rules.purity import global_state

tells_times = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long another thread has run")


class Worker:
    """A thread of the host that does its work once each time it is asked."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work, self._asked, self._done, self._over = work, threading.Event(), threading.Event(), False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while self._asked.wait() and not self._over:
            self._asked.clear()
            self._work()
            self._done.set()

    def __call__(self) -> None:
        self._asked.set()
        assert self._done.wait(60)
        self._done.clear()

    def settle(self) -> None:
        """Wait until the thread has gone back to waiting."""
        before = processor_times()
        while time.sleep(0.02) or others_may_have_run(before):
            before = processor_times()

    def __enter__(self) -> Worker:
        self.thread.start()
        self()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._asked.set()
        self.thread.join()


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


STATES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "torch": (lambda: torch.rand(1), lambda: torch.get_rng_state().tolist()),
    "numpy": (np.random.rand, np.random.get_state),
    "random": (random.random, random.getstate),
}

CHANGES: dict[str, Callable[[], object]] = {
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's determinism": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "the working directory": lambda: os.chdir(Path.cwd().parent),
    "torch.backends.cuda.matmul.allow_tf32": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
    "torch.backends.cudnn.allow_tf32": lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
    "torch.backends.cudnn.enabled": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "torch.backends.cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "torch.backends.cudnn.deterministic": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "torch's matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
}


@pytest.mark.parametrize("library", STATES)
def test_a_draw_is_refused_and_undone(library: str) -> None:
    draw, state = STATES[library]
    before = repr(state())
    accused = pytest.raises(bb.ContractBreach, match=f"a plugin drew from the global random state of {library}, ")
    with accused, global_state("a plugin"):
        draw()
    assert repr(state()) == before


@pytest.mark.parametrize("setting", CHANGES)
def test_a_changed_setting_is_refused_and_undone(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = {name: shared.take() for name, shared in process_state.settings().items()}
    with pytest.raises(bb.ContractBreach, match=f"a plugin changed .*{setting}"), global_state("a plugin"):
        CHANGES[setting]()
    assert {name: shared.take() for name, shared in process_state.settings().items()} == before


def test_every_setting_of_torch_has_a_test() -> None:
    assert set(CHANGES) == {name for name in process_state.settings() if not name.startswith("JAX")}


def test_the_hosts_precision_is_put_back_to_the_letter() -> None:
    """`medium` allows TF32, but allowing TF32 gives `high`."""
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(bb.ContractBreach), global_state("a plugin"):
            torch.set_float32_matmul_precision("highest")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_cuda_generators_are_watched_once_cuda_is_initialised(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "torch.cuda" not in process_state.random_states() or torch.cuda.is_initialized()
    states = [torch.zeros(16, dtype=torch.uint8), torch.ones(16, dtype=torch.uint8)]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [state.clone() for state in states])
    monkeypatch.setattr(
        torch.cuda, "set_rng_state_all", lambda given: [old.copy_(new) for old, new in zip(states, given, strict=True)]
    )
    with global_state("a plugin"):
        pass
    accused = pytest.raises(bb.ContractBreach, match=r"drew from the global random state of torch\.cuda")
    with accused, global_state("a plugin"):
        states[1][3] = 7
    assert states[1].tolist() == [1] * 16


@pytest.mark.integration
def test_reading_the_state_of_a_process_initialises_no_cuda_and_survives_the_newer_switches() -> None:
    """In a process of its own, for torch does not go back to the older switches."""
    code = """
import torch
import bnnbench as bb
from bnnbench.core import process_state
from bnnbench.core.rules.purity import global_state
from bnnbench.store.environment import environment

before = torch.cuda.is_initialized()
with global_state("a plugin"):
    pass
assert torch.cuda.is_initialized() == before == False
if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    matmul.fp32_precision, conv.fp32_precision, torch.backends.cudnn.rnn.fp32_precision = "tf32", "ieee", "tf32"
    with global_state("a plugin"):
        pass
    environment(1)
    for switch in (matmul, conv):
        kept = switch.fp32_precision
        try:
            with global_state("a plugin"):
                switch.fp32_precision = {"tf32": "ieee", "ieee": "tf32"}[kept]
        except bb.ContractBreach as error:
            assert "allow_tf32" in str(error)
        else:
            raise AssertionError("a newer switch is not watched")
        assert switch.fp32_precision == kept
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_imports_may_draw_from_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "draws_when_imported.py").write_text("import numpy\nnumpy.random.rand()\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = repr(np.random.get_state())  # noqa: NPY002
    with global_state("a plugin"):
        import draws_when_imported  # type: ignore[import-not-found]  # noqa: F401
    assert repr(np.random.get_state()) == before  # noqa: NPY002


@pytest.mark.parametrize("library", STATES)
def test_what_another_thread_may_have_drawn_is_neither_reported_nor_undone(library: str) -> None:
    draw, state = STATES[library]
    with Worker(draw) as host:
        before = repr(state())
        with global_state("a plugin"):
            host()
        assert repr(state()) != before


def test_what_another_thread_may_have_set_is_neither_reported_nor_undone() -> None:
    with Worker(lambda: torch.set_default_dtype(torch.float32)) as host:
        host._work = lambda: torch.set_default_dtype(torch.float64)
        try:
            with global_state("a plugin"):
                host()
            assert torch.get_default_dtype() == torch.float64
        finally:
            torch.set_default_dtype(torch.float32)


def test_a_setting_of_the_thread_itself_is_refused_whatever_other_threads_do() -> None:
    def body(host: Worker) -> None:
        host()
        torch.set_grad_enabled(False)

    with Worker(lambda: None) as host:
        with pytest.raises(bb.ContractBreach, match="changed torch's gradient mode"), global_state("a plugin"):
            body(host)
        assert torch.is_grad_enabled()


@tells_times
def test_a_thread_that_only_waits_excuses_nobody() -> None:
    accused = pytest.raises(bb.ContractBreach, match="global random state of torch")
    with Worker(lambda: None) as host:
        host.settle()
        with accused, global_state("a plugin"):
            torch.rand(1)


@tells_times
def test_a_thread_that_waits_has_not_run_and_one_that_works_has() -> None:
    with Worker(lambda: sum(range(1000))) as host:
        host.settle()
        before = processor_times()
        assert host.thread.native_id in before
        assert threading.get_native_id() not in before
        assert not others_may_have_run(before)
        host()
        assert others_may_have_run(before)


def test_a_thread_that_has_ended_since_may_have_run() -> None:
    with Worker(lambda: None):
        before = processor_times()
    assert others_may_have_run(before)


def test_where_times_are_not_told_every_other_thread_may_have_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with Worker(lambda: None):
        assert others_may_have_run(processor_times())


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
