"""What an outcome was computed with."""

from __future__ import annotations

import functools
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from bnnbench.plugins.entry_points import name_and_version, plugin_points

VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "BNNBENCH_BLOCK",
    "BNNBENCH_PLUGINS",
    "BNNBENCH_PRODUCTS",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "DNNL_MAX_CPU_ISA",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_DEFAULT_PRNG_IMPL",
    "JAX_DISABLE_JIT",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
    "JAX_THREEFRY_PARTITIONABLE",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "XLA_FLAGS",
)
"""The environment variables that are recorded: those that change numbers, and no others."""

_DISTRIBUTIONS = (
    "bnnbench",
    "blackjax",
    "jax",
    "jaxlib",
    "numpy",
    "numpyro",
    "pyro-ppl",
    "scikit-learn",
    "scipy",
    "torch",
)


def environment(threads: int) -> dict[str, Any]:
    """Versions, processor, threads and the variables that change numbers, as JSON.

    In a process that has loaded torch, `kernels` describes what multiplies matrices: torch's instruction set, the
    libraries with the processor that each has detected, `products` (whether an ensemble's float32 products use the
    `fast` or the `default` kernels), the GPU if there is one and the CPU was not asked for, and then the flags that
    change what the GPU computes.
    """
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "visible_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "versions": dict(_versions()),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }
    return found | {"kernels": _kernels()} if "torch" in sys.modules else found


def command_line() -> list[str]:
    """The command line, if it is bnnbench's own; of a program that bnnbench is a part of only the name, for its
    arguments may be secrets."""
    program = Path(*sys.argv[:1])
    own = program.stem == "bnnbench" or program == Path(__file__).parents[1] / "__main__.py"
    return list(sys.argv) if own else [program.name]


def gives_the_same_bits(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the same work must give the same bits in two environments.

    They must be the same in all but the system's name, and have no GPU: many of its kernels sum in an order that
    changes from run to run.
    """
    return not _has_gpu(one) and {**one, "platform": None} == {**other, "platform": None}


def _has_gpu(environment: Mapping[str, Any]) -> bool:
    kernels = environment.get("kernels")  # A record from elsewhere may have anything there.
    return isinstance(kernels, Mapping) and kernels.get("gpu") is not None


def _kernels() -> dict[str, Any]:
    from bnnbench.core.ensemble.precision import products
    from bnnbench.core.standard_settings import standard_settings

    found = _libraries() | {"gpu": _gpu(), "products": products()}
    if not found["gpu"]:
        return found
    with standard_settings(gradients=False):  # These are the flags of what was computed, not those of the program.
        return found | {"flags": _cuda_flags()}


@functools.cache
def _libraries() -> dict[str, Any]:
    """The instruction set that torch has chosen, and the libraries with the processor that each has detected.

    They stay what they are when first asked for.
    """
    import torch
    from threadpoolctl import threadpool_info

    libraries = {
        (one["internal_api"], str(one.get("version")), str(one.get("architecture", ""))) for one in threadpool_info()
    }
    return {
        "torch": torch.backends.cpu.get_cpu_capability(),
        "libraries": [" ".join(filter(None, library)) for library in sorted(libraries)],
    }


def _gpu() -> str | None:
    """The name of the GPU; None if there is none, or if the CPU was asked for."""
    import torch

    from bnnbench.core.computing import asked_device

    return torch.cuda.get_device_name() if asked_device() != "cpu" and torch.cuda.is_available() else None


def _cuda_flags() -> dict[str, Any]:
    """The flags of `torch.backends` that change what a CUDA device computes."""
    from bnnbench.core import backend_flags

    return {flag: backend_flags.read(flag) for flag in backend_flags.CUDA_FLAGS}


@functools.cache
def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@functools.cache
def _versions() -> dict[str, str]:
    """Of what computes, and of every distribution that has plugins; none of them is imported."""
    plugins = {name_and_version(point.dist)[0] for point in plugin_points() if point.dist}
    return {name: version for name in sorted({*_DISTRIBUTIONS, *plugins} - {""}) if (version := _version(name))}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
