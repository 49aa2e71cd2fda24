"""The flags of `torch.backends` that change what a CUDA device computes.

torch 2.9 and later have two families of switches for the precision of float32 products, and raise `RuntimeError` when a
switch of the older family is read after one of the newer family has been set to something else. The newer switches are
read instead then.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

CUDA_FLAGS = (
    "cuda.matmul.allow_tf32",
    "cudnn.allow_tf32",
    "cudnn.enabled",
    "cudnn.benchmark",
    "cudnn.deterministic",
)
CONVOLUTIONS = "cudnn.allow_tf32"
"""The flag by which cuDNN rounds the inputs of convolutions to TF32. torch has it switched on by default."""
_NEWER = {
    "cuda.matmul.allow_tf32": ("cuda.matmul.fp32_precision",),
    CONVOLUTIONS: ("cudnn.conv.fp32_precision", "cudnn.rnn.fp32_precision"),
}
"""For a flag that may be unreadable, the newer switches of the same setting."""


def read(flag: str) -> Any:
    """The value of a flag of `torch.backends`, or the values of the newer switches by name if they are in use."""
    import torch

    try:
        return attrgetter(flag)(torch.backends)
    except RuntimeError:
        return {name: attrgetter(name)(torch.backends) for name in _NEWER[flag]}


def write(flag: str, value: Any) -> None:
    """Set a flag to what `read` has returned."""
    import torch

    for name, one in (value if isinstance(value, dict) else {flag: value}).items():
        owner, _, attribute = name.rpartition(".")
        setattr(attrgetter(owner)(torch.backends), attribute, one)


def allow_tf32_in_convolutions(allowed: bool) -> None:
    """Let cuDNN use TF32, or not, by both families of switches: one that only inherits does not decide then."""
    import torch

    write(CONVOLUTIONS, allowed)
    if hasattr(torch.backends.cudnn, "conv"):
        write(CONVOLUTIONS, dict.fromkeys(_NEWER[CONVOLUTIONS], "tf32" if allowed else "ieee"))
