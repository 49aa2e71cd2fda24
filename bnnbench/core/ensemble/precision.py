"""Use faster kernels for float32 matrix products on CPUs that have them.

On AMD processors with AVX-512, torch multiplies matrices with MKL's AVX2 kernels by default. The switch
`torch.set_float32_matmul_precision("medium")` makes it use oneDNN instead, which is up to twice as fast and equally
accurate. On Intel processors oneDNN can be slower, and with bfloat16 matrix units the switch may round inputs to eight
bits. Therefore the switch is used only if three conditions hold: the CPU has AVX-512; products are as close to float64
as without the switch; and a short trial, made once in a process, finds it clearly faster. The switch is global to the
process, so it is set only while a pass over an ensemble runs.

The two kernels round differently. `products` returns the one that a process uses; the recorded environment contains it.
The environment variable BNNBENCH_PRODUCTS (`default` or `fast`) replaces the trial.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

VARIABLE = "BNNBENCH_PRODUCTS"
"""The environment variable that replaces the trial."""
FASTER = 1.5
"""Smallest speed-up in the trial for which the switch is used. Processors that were measured give 0.7, 1.1 or 2.0: the
limit lies so far from all of them that the load of the machine does not decide."""
TRIAL = (512, 784, 512)
"""Rows, inner size and outer size of the products of the trial, as in a pass of an ensemble over images."""
REPEATS = 8
"""Timed repetitions of each product of the trial."""

_lock = threading.Lock()
_users = 0
"""The number of threads inside of `fast_products`. The switch is set by the first and reset by the last."""


@contextmanager
def fast_products(device: torch.device) -> Iterator[None]:
    """A context in which float32 matrix products on a CPU use the faster kernels, if they are accurate and faster.

    Several threads may be inside of it at the same time. It does nothing on other devices.
    """
    if device.type != "cpu" or not _chosen():
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def products() -> str:
    """The kernels for matrix products in this process, `fast` or `default`. The first call makes the trial."""
    return "fast" if _chosen() else "default"


def _enter() -> None:
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            torch.set_float32_matmul_precision("medium")


def _leave() -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            torch.set_float32_matmul_precision("highest")


@functools.cache
def _chosen() -> bool:
    """Whether the switch is used. It is not if the program has set a matmul precision itself."""
    asked = os.environ.get(VARIABLE)
    if asked == "default" or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        if torch.get_float32_matmul_precision() != "highest":
            return False
    except RuntimeError:  # The program uses torch's newer switches, one for each backend.
        return False
    return _accurate() and (asked == "fast" or _faster())


def _accurate() -> bool:
    """Whether products with the switch are as close to float64 as without it."""
    plain = _error()
    with _switched():
        fast = _error()
    # Inputs rounded to bfloat16 increase the error a thousandfold; another order of summation, about twofold.
    return fast <= 4 * plain


def _faster() -> bool:
    """Whether a forward and a backward product are clearly faster with the switch: the shortest times are compared."""
    rows, inner, outer = TRIAL
    generator = torch.Generator().manual_seed(0)
    x, weight, cotangent = (
        torch.randn(*shape, generator=generator, dtype=torch.float32)
        for shape in ((rows, inner), (outer, inner), (rows, outer))
    )

    def seconds() -> float:
        began = time.perf_counter()
        _ = x @ weight.T, cotangent @ weight
        return time.perf_counter() - began

    default, fast = [], []
    for _ in range(REPEATS + 1):  # The first repetition of each warms up.
        default.append(seconds())
        with _switched():
            fast.append(seconds())
    return min(default[1:]) > FASTER * min(fast[1:])


@contextmanager
def _switched() -> Iterator[None]:
    """A context in which the switch is set."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _error() -> float:
    """The largest error of a float32 matrix product with sums of 512 terms, compared with float64."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 512, generator=generator, dtype=torch.float32) for _ in range(2))
    exact = left.double() @ right.double().T
    return float((left @ right.T - exact).abs().max())
