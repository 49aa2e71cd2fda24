"""Faster float32 matrix products where the processor has them, without changing anything for the host program.

On AMD processors with AVX-512 torch multiplies matrices with MKL's narrower AVX2 kernels, unless
`torch.set_float32_matmul_precision("medium")` sends them to oneDNN: twice as fast, and as accurate. But the switch is
global to the process, and where there are bfloat16 matrix units it may round inputs to eight bits. So it is used only
while a pass over an ensemble runs, only on CPUs with AVX-512, and only if products then are as close to float64 as
they are without.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_users = 0


@contextmanager
def fast_products(device: torch.device) -> Iterator[None]:
    """While this is entered, by any thread, float32 products on a CPU take the faster kernels if those are accurate."""
    if device.type != "cpu" or not _accurate():
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


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
def _accurate() -> bool:
    """Decided once: a host that has chosen a precision of its own, or changes torch's newer switches, keeps it."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkldnn.is_available():
        return False
    try:
        if torch.get_float32_matmul_precision() != "highest":
            return False
    except RuntimeError:  # The newer switches, one for each backend, are in use.
        return False
    plain = _error()
    _enter()
    try:
        fast = _error()
    finally:
        _leave()
    # Rounding to bfloat16 costs a factor of thousands, another order of summation one of two.
    return fast <= 4 * plain


def _error() -> float:
    """Largest error of a float32 product of 512 terms, against float64."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 512, generator=generator) for _ in range(2))
    exact = left.double() @ right.double().T
    return float((left @ right.T - exact).abs().max())
