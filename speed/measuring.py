"""What every comparison here shares: CPU time of one thread, taken in turns, beside the measured peak.

Import this before torch: it sets the number of threads.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
if hasattr(os, "sched_setaffinity"):
    # JAX knows no thread count but the cores that it sees.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import itertools
import platform
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import nn

import bnnbench as bb
from bnnbench.matrix.environment import environment

torch.set_num_threads(1)

Work = Callable[[], Any]


def in_turns(works: dict[str, Work], repeats: int) -> dict[str, float]:
    """The median CPU seconds of each piece of work. They take turns, so that a noisy moment hits all alike."""
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            started = time.process_time()
            work()
            seconds[name].append(time.process_time() - started)
    return {name: median(values) for name, values in seconds.items()}


def peak_work(size: int = 1024) -> tuple[Work, float]:
    """A float32 product with the fastest precise kernels, and its floating point operations."""
    left, right, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)

    def product() -> None:
        with bb.fast_products(torch.device("cpu")):
            torch.mm(left, right, out=out)

    return product, 2.0 * size**3


def chain(sizes: tuple[int, ...]) -> nn.Sequential:
    """Linear layers of these sizes with leaky ReLU between."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU()]
    return nn.Sequential(*layers[:-1])


def ensemble(network: nn.Module, draws: int) -> dict[str, torch.Tensor]:
    """Draws around the network's weights."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: weight.detach() + 0.02 * torch.randn(draws, *weight.shape, generator=generator)
        for name, weight in network.state_dict().items()
    }


def images(number: int, shape: tuple[int, ...], classes: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images in the unit box, with labels."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(number, *shape, generator=generator), torch.randint(0, classes, (number,), generator=generator)


def flops(sizes: tuple[int, ...], draws: int, number: int) -> float:
    """Operations of one input gradient of an ensemble: twice forward, twice back, for each weight."""
    return 4.0 * sum(a * b for a, b in itertools.pairwise(sizes)) * draws * number


def machine() -> str:
    """A line about where this ran."""
    found = environment(1)
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return f"{found['cpu']}, {torch.backends.cpu.get_cpu_capability()}, {platform.system()}; {versions}"


def table(title: str, head: list[str], rows: list[list[str]]) -> str:
    """A markdown table."""
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])
