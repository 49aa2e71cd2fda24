"""Measure the memory that one gradient of an ensemble needs in addition to data and weights.

python speed/memory.py
"""

from __future__ import annotations

import multiprocessing
import resource
import threading
import time

import measuring
from measuring import chain, ensemble, images, table

SIZES = (784, 512, 512, 10)


def resident() -> float:
    """The resident memory of this process, in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def put_peak(way: str, draws_number: int, number: int, answer: multiprocessing.SimpleQueue[float]) -> None:
    """Put the peak memory of one gradient into a queue: the largest resident memory minus that before, in MiB."""
    import attacks

    import bnnbench as bb

    network = chain(SIZES).requires_grad_(False)
    draws = ensemble(network, draws_number)
    predictive = bb.Predictive(network, draws)
    x, y = images(number, (784,))
    # A first small gradient makes the libraries allocate their own buffers, which are not to be counted.
    predictive.direction(x[:8], y[:8], "predictive-nll", [0])
    work = {
        "bnnbench": lambda: predictive.direction(x, y, "predictive-nll"),
        "loop over draws, weights frozen": lambda: attacks.batched_loop(network, draws, x, y, frozen=True),
        "vmap(functional_call)": lambda: attacks.stacked(network, draws, x, y),
    }[way]
    before, largest, done = resident(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal largest
        while not done.is_set():
            largest = max(largest, resident())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    answer.put(largest - before)


def peak(way: str, draws_number: int, number: int) -> float:
    """The peak memory of one gradient in MiB, measured in a new process that no other measurement has influenced."""
    context = multiprocessing.get_context("spawn")
    answer: multiprocessing.SimpleQueue[float] = context.SimpleQueue()
    process = context.Process(target=put_peak, args=(way, draws_number, number, answer))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"{way} ended with exit code {process.exitcode}")
    return answer.get()


def report(quick: bool) -> str:
    """A table of the peak memory by way and size, in markdown."""
    cases = [(10, 500), (50, 500)] if quick else [(50, 500), (50, 2000), (200, 2000), (500, 500)]
    rows = []
    for way in ("bnnbench", "loop over draws, weights frozen", "vmap(functional_call)"):
        rows.append([way, *(f"{peak(way, draws, number):.0f}" for draws, number in cases)])
    head = ["way, MiB", *(f"{draws} draws, {number} images" for draws, number in cases)]
    return table("Memory of one gradient beyond data and weights, " + "-".join(map(str, SIZES)), head, rows)


if __name__ == "__main__":
    print(f"{measuring.machine()}\n\n{report(quick=False)}")
