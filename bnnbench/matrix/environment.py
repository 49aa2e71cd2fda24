"""What an outcome was computed with."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

VARIABLES = (
    "BNNBENCH_BLOCK",
    "BNNBENCH_PLUGINS",
    "CUDA_VISIBLE_DEVICES",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_NUM_THREADS",
    "XLA_FLAGS",
)
"""The environment variables that are recorded; no other is, so no secret can be."""

_DISTRIBUTIONS = ("bnnbench", "jax", "jaxlib", "numpy", "numpyro", "pyro-ppl", "scikit-learn", "torch")


def environment(threads: int) -> dict[str, Any]:
    """Versions, processor, threads and numeric environment variables, as JSON."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "visible_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "versions": {name: version for name in _DISTRIBUTIONS if (version := _version(name))},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
