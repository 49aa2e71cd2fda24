"""Helpers of all measurements: CPU times of one thread, the machine's peak, small ensembles, and tables.

Import this module before torch, because it limits the process to one thread and one core.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
if hasattr(os, "sched_setaffinity"):
    # JAX has no setting for its number of threads; it uses all cores that it may run on.
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
from bnnbench.store.environment import environment

torch.set_num_threads(1)

Work = Callable[[], Any]
"""A function to time."""


def in_turns(works: dict[str, Work], repeats: int) -> dict[str, float]:
    """The median CPU seconds of each function: name -> seconds.

    The functions are called in turn, so that a disturbance affects all of them. A first call of each is not timed.
    """
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
    """A function that multiplies two float32 matrices with the fastest kernels, and its number of operations."""
    left, right, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)

    def product() -> None:
        with bb.fast_products(torch.device("cpu")):
            torch.mm(left, right, out=out)

    return product, 2.0 * size**3


def chain(sizes: tuple[int, ...]) -> nn.Sequential:
    """A network of linear layers with leaky ReLUs between them. `sizes` are inputs, hidden units and outputs."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU()]
    return nn.Sequential(*layers[:-1])


def ensemble(network: nn.Module, draws: int) -> dict[str, torch.Tensor]:
    """Random draws around the network's weights: name -> tensor (draws, *weight)."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: weight.detach() + 0.02 * torch.randn(draws, *weight.shape, generator=generator)
        for name, weight in network.state_dict().items()
    }


def images(number: int, shape: tuple[int, ...], classes: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images in the unit box (number, *shape), and random labels (number,)."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(number, *shape, generator=generator), torch.randint(0, classes, (number,), generator=generator)


def flops(sizes: tuple[int, ...], draws: int, number: int) -> float:
    """Floating point operations of one gradient of an ensemble by its inputs.

    Each weight costs two operations forward and two backward, for each draw and each of `number` images.
    """
    return 4.0 * sum(a * b for a, b in itertools.pairwise(sizes)) * draws * number


def machine() -> str:
    """One line with the processor, the operating system and the versions of libraries."""
    recorded = environment(1)
    versions = ", ".join(f"{name} {version}" for name, version in recorded["versions"].items())
    return f"{recorded['cpu']}, {torch.backends.cpu.get_cpu_capability()}, {platform.system()}; {versions}"


def table(title: str, head: list[str], rows: list[list[str]]) -> str:
    """A table with a title, in markdown."""
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])
