"""Progress that jobs send, and what of it is held back."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from bnnbench.pool import progress
from bnnbench.pool.progress import INTERVAL, Listener, Reporter, Step


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def sent(listener: Listener) -> list[tuple[int, int]]:
    return [(step.done, step.total) for step in listener.steps()]


def test_a_step_arrives_with_its_task_and_note(listener: Listener, clock: Clock) -> None:
    Reporter(listener.address, "fit")(1, 4, "warm-up")
    assert list(listener.steps()) == [Step("fit", 1, 4, "warm-up")]


@pytest.mark.parametrize("total", [0, 1000])
def test_steps_in_quick_succession_are_held_back(listener: Listener, clock: Clock, total: int) -> None:
    report = Reporter(listener.address, "fit")
    for done in range(100):
        report(done, total)
    assert sent(listener) == [(0, total)]
    clock.now += INTERVAL
    report(100, total)
    assert sent(listener) == [(100, total)]


def test_the_last_step_is_sent_at_once_and_no_more_often_than_others(listener: Listener, clock: Clock) -> None:
    """A sampler may state a total that is too small."""
    report = Reporter(listener.address, "fit")
    for done in range(1, 10):
        report(done, 4)
    assert sent(listener) == [(1, 4), (4, 4)]


def test_a_second_count_reaches_its_total_too(listener: Listener, clock: Clock) -> None:
    report = Reporter(listener.address, "fit")
    for done in (1, 2):
        report(done, 2, "warm-up")
    clock.now += INTERVAL
    for done in (1, 2, 3):
        report(done, 3)
    assert sent(listener) == [(1, 2), (2, 2), (1, 3), (3, 3)]


def test_without_an_address_nothing_is_sent(listener: Listener) -> None:
    Reporter(None, "fit")(1, 2)
    assert sent(listener) == []


def test_datagrams_of_strangers_are_ignored(listener: Listener) -> None:
    host, port, word = listener.address
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for packet in (b"", b"\xff", b"[]", b"[" * 4000, json.dumps(["guess", "fit", 1, 2, ""]).encode()):
        stranger.sendto(packet, (host, port))
    stranger.sendto(json.dumps([word, "fit", 1, 2, "a\x1b[31m\nnote"]).encode(), (host, port))
    stranger.close()
    assert list(listener.steps()) == [Step("fit", 1, 2, "a?[31m note")]


def test_a_long_note_is_cut(listener: Listener, clock: Clock) -> None:
    Reporter(listener.address, "fit")(1, 2, "x" * 10_000)
    (step,) = listener.steps()
    assert step.note == "x" * 200
