"""How much memory an attack holds beyond data and weights, however many draws and images there are.

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
    """MiB that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def most_beyond(way: str, draws_number: int, number: int, answer: multiprocessing.SimpleQueue[float]) -> None:
    """Put the most MiB held during one gradient, less what was held before it, into the queue."""
    import attacks

    import bnnbench as bb

    network = chain(SIZES).requires_grad_(False)
    draws = ensemble(network, draws_number)
    predictive = bb.Predictive(network, draws)
    x, y = images(number, (784,))
    # The libraries' own buffers are there before we look.
    predictive.direction(x[:8], y[:8], "predictive-nll", [0])
    work = {
        "bnnbench": lambda: predictive.direction(x, y, "predictive-nll"),
        "loop over draws, weights frozen": lambda: attacks.batched_loop(network, draws, x, y, frozen=True),
        "vmap(functional_call)": lambda: attacks.stacked(network, draws, x, y),
    }[way]
    before, most, done = resident(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, resident())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    answer.put(most - before)


def beyond(way: str, draws_number: int, number: int) -> float:
    """`most_beyond` in a process of its own, which no other measurement has warmed."""
    context = multiprocessing.get_context("spawn")
    answer: multiprocessing.SimpleQueue[float] = context.SimpleQueue()
    process = context.Process(target=most_beyond, args=(way, draws_number, number, answer))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"{way} ended with exit code {process.exitcode}")
    return answer.get()


def report(quick: bool) -> str:
    """The table: for each way and size the MiB beyond data and weights."""
    cases = [(10, 500), (50, 500)] if quick else [(50, 500), (50, 2000), (200, 2000), (500, 500)]
    rows = []
    for way in ("bnnbench", "loop over draws, weights frozen", "vmap(functional_call)"):
        rows.append([way, *(f"{beyond(way, draws, number):.0f}" for draws, number in cases)])
    head = ["way, MiB", *(f"{draws} draws, {number} images" for draws, number in cases)]
    return table("Memory of one gradient beyond data and weights, " + "-".join(map(str, SIZES)), head, rows)


if __name__ == "__main__":
    print(f"{measuring.machine()}\n\n{report(quick=False)}")
