"""What other threads of the host may have done is blamed on no plugin."""

from __future__ import annotations

import sys
import threading

import pytest
import torch
from host_threads import STATES, Worker

import bnnbench as bb
from bnnbench.core.changes import others_may_have_run, processor_times
from bnnbench.core.rules.purity import global_state

tells_times = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long another thread has run")


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
