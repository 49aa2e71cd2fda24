"""The CUDA GPUs of this computer, and the places of workers on them.

Neither torch nor CUDA is loaded for that: the process of a run holds no memory of a GPU.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SECONDS = 20.0
"""The time limit for the driver's program to answer."""
_QUERY = ("--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits")


class Gpu(NamedTuple):
    """A GPU: its number, as in `cuda:0`, and its memory in bytes."""

    number: int
    memory: int


class Place(NamedTuple):
    """Where a worker computes: the number of its GPU, and its share of the GPU's memory (None: not bounded)."""

    gpu: int
    share: float | None = None


def places(device: str, jobs: int | None, gpu_memory: int | None) -> list[Place]:
    """The place of each worker, one after another on all GPUs; none if the device has no GPU that is known.

    Args:
        device: that of a benchmarks file. A numbered one stands for one GPU, `cuda` and `auto` for all.
        jobs: the number of workers; by default one for each GPU, or as many as have room.
        gpu_memory: the bytes of a GPU's memory that a worker may have. No GPU then has more workers than have room.
    """
    if device == "cpu":
        return []
    kind, _, number = device.partition(":")
    gpus = [gpu for gpu in inventory() if not number or gpu.number == int(number)]
    if kind == "cuda" and not gpus:
        gpus = [Gpu(int(number or 0), 0)]  # torch may know of one all the same, of a memory that is not known.
    return _spread(gpus, jobs, gpu_memory)


def _spread(gpus: Sequence[Gpu], jobs: int | None, gpu_memory: int | None) -> list[Place]:
    """The places on some GPUs: the first of each GPU, then the second of each that has room for one, and so on."""
    if not gpus:
        return []
    if gpu_memory is None:
        return [Place(gpus[at % len(gpus)].number) for at in range(jobs or len(gpus))]
    room = {gpu: max(1, gpu.memory // gpu_memory) for gpu in gpus}
    rounds = ([gpu for gpu in gpus if room[gpu] > at] for at in range(max(room.values())))
    return [Place(gpu.number, _share(gpu, gpu_memory)) for of_round in rounds for gpu in of_round][:jobs]


def _share(gpu: Gpu, gpu_memory: int) -> float | None:
    return min(1.0, gpu_memory / gpu.memory) if gpu.memory else None


def inventory() -> list[Gpu]:
    """The GPUs that torch can use here, in its order; none if it is built without CUDA, or the driver is not there."""
    program = shutil.which("nvidia-smi")
    if program is None or not _torch_has_cuda():
        return []
    try:
        answer = subprocess.run([program, *_QUERY], capture_output=True, text=True, timeout=SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return listed(answer, os.environ.get("CUDA_VISIBLE_DEVICES"))


def listed(answer: str, visible: str | None) -> list[Gpu]:
    """The GPUs of an answer of `nvidia-smi`, of those that CUDA_VISIBLE_DEVICES leaves visible.

    The variable holds positions or the beginnings of identifiers. As in CUDA, what follows the first that is not known
    does not count.
    """
    found = [line.rpartition(",")[::2] for line in answer.splitlines() if re.fullmatch(r"\S+,\s*\d+", line.strip())]
    known = [(name.strip(), int(size) * 2**20) for name, size in found]
    if visible is None:
        chosen = [size for _, size in known]
    else:
        chosen = []
        for one in map(str.strip, visible.split(",")):
            sizes = [size for at, (name, size) in enumerate(known) if one and (one == str(at) or name.startswith(one))]
            if not sizes:
                break
            chosen.append(sizes[0])
    return [Gpu(number, size) for number, size in enumerate(chosen)]


def _torch_has_cuda() -> bool:
    """Whether the installed torch is built with CUDA, as the file with its version says."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    try:
        text = (Path(spec.origin).parent / "version.py").read_text()
    except OSError:
        return False
    return re.search(r"^cuda\b.*=\s*['\"]", text, re.MULTILINE) is not None
