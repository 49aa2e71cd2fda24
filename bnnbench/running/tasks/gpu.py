"""The GPU on which a task computes, and its share of the GPU's memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bnnbench.pool.job import Setting


@contextlib.contextmanager
def on_gpu(setting: Setting) -> Iterator[None]:
    """A context in which the GPU of a setting is torch's current one, and torch takes no more of it than it may.

    A task that needs more then fails with torch's own message. It does nothing where torch has no GPU, or for the CPU.
    """
    import torch

    if setting.device == "cpu" or not torch.cuda.is_available():
        yield
        return
    before = torch.cuda.current_device()
    number = _number(setting, before)
    if number >= torch.cuda.device_count():
        yield  # Whoever makes the first tensor there tells of it.
        return
    torch.cuda.set_device(number)
    try:
        with _share(setting.gpu_memory, number):
            yield
    finally:
        torch.cuda.set_device(before)


def _number(setting: Setting, current: int) -> int:
    """The number of the GPU: that of the device, or that of the pool, or the current one."""
    _, _, number = setting.device.partition(":")
    if number:
        return int(number)
    return current if setting.gpu is None else setting.gpu


@contextlib.contextmanager
def _share(gpu_memory: int | None, number: int) -> Iterator[None]:
    """A context in which torch takes at most this many bytes of a GPU."""
    import torch

    if gpu_memory is None:
        yield
        return
    total = torch.cuda.get_device_properties(number).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, gpu_memory / total), number)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, number)
